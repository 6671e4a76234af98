package scenario

// parse reads an expectation. Its error is a syntaxError.
func parse(s string) (*comparison, error) {
	tokens, err := lex(s)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	c, err := p.comparison()
	if err == nil {
		err = c.decides()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// decides refuses what no run can change.
func (c *comparison) decides() error {
	if len(c.names()) == 0 {
		return wrongAt(0, "nothing that a run could change: name something of the report")
	}
	return nil
}

// A parser takes tokens one by one. The last one is the end.
type parser struct{ tokens []token }

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) take() token {
	t := p.tokens[0]
	if len(p.tokens) > 1 {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) comparison() (*comparison, error) {
	c := &comparison{}
	for {
		e, err := p.sum(1)
		if err != nil {
			return nil, err
		}
		c.terms = append(c.terms, e)
		t := p.take()
		switch t.text {
		case "==", "!=", "<", "<=", ">", ">=":
			c.ops, c.columns = append(c.ops, t.text), append(c.columns, t.column)
			continue
		case "":
			if len(c.ops) > 0 {
				return c, nil
			}
			return nil, wrongAt(0, "nothing to compare with: an expectation is like client.ping.received == 10")
		}
		return nil, wrongAt(t.column, "%q is in the way: an operator or the end is expected here", t.text)
	}
}

// sum reads operators that bind at least as level says: sums 1, products 2.
func (p *parser) sum(level int) (expr, error) {
	if level > 2 {
		return p.operand()
	}
	left, err := p.sum(level + 1)
	for err == nil && precedence[p.peek().text] == level {
		op := p.take()
		var right expr
		if right, err = p.sum(level + 1); err == nil {
			left = &binary{op.text, op.column, left, right}
		}
	}
	return left, err
}

func (p *parser) operand() (expr, error) {
	t := p.take()
	switch {
	case t.number != nil:
		return &literal{t.text, t.unit, *t.number}, nil
	case t.name:
		return &name{t.text, t.column}, nil
	case t.text == "(":
		e, err := p.sum(1)
		if err != nil {
			return nil, err
		}
		if end := p.take(); end.text != ")" {
			return nil, wrongAt(end.column, "a ) is missing for the ( at column %d", t.column+1)
		}
		return e, nil
	case t.text == "":
		return nil, wrongAt(t.column, "a name or a number is missing at the end")
	}
	return nil, wrongAt(t.column, "%q is in the way: a name or a number is expected here", t.text)
}
