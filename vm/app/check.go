package app

// Check says what is wrong with the text of an argument, nil if nothing is.
func (a Arg) Check(text string) error {
	_, err := a.parse(text)
	return err
}
