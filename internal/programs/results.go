package programs

// A Result is a number, or a text, that a program records.
type Result struct{ Name, Unit, Says string }

// Text as a Result's Unit says that it is a text.
const Text = "text"

// Results are what a program records, by its name.
func Results(program string) []Result { return results[program] }

var results = map[string][]Result{}
