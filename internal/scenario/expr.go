package scenario

import (
	"fmt"
	"math/big"
	"strings"
)

// An expr is a sum of products of names and numbers.
type expr interface {
	// eval is its value, by the values of names.
	eval(look lookup) (quantity, error)
	// String writes it as parse reads it.
	String() string
}

// A lookup is the value of a name. It fails with an absentError for one that has none,
// and with another for one that means nothing.
type lookup func(name string) (quantity, error)

type (
	literal struct {
		text string // canonical, with its unit
		unit string
		quantity
	}
	name struct {
		text   string
		column int
	}
	binary struct {
		op          string
		column      int
		left, right expr
	}
)

func (l *literal) eval(lookup) (quantity, error) { return l.quantity, nil }
func (l *literal) String() string                { return l.text }

func (n *name) eval(look lookup) (quantity, error) {
	q, err := look(n.text)
	if _, absent := err.(*absentError); err != nil && !absent {
		err = wrongAt(n.column, "%v", err)
	}
	return q, err
}
func (n *name) String() string { return n.text }

func (b *binary) eval(look lookup) (quantity, error) {
	l, err := b.left.eval(look)
	if err != nil {
		return l, err
	}
	r, err := b.right.eval(look)
	if err != nil {
		return r, err
	}
	if l.dim == text || r.dim == text {
		return l, wrongAt(b.column, "a text is no number: it can be compared by == and !=, and no more")
	}
	n := new(big.Rat)
	switch b.op {
	case "*":
		return quantity{n: n.Mul(l.n, r.n), dim: l.dim.plus(r.dim)}, nil
	case "/":
		if r.n.Sign() == 0 {
			return quantity{n: n, dim: l.dim.minus(r.dim)}, &zeroError{b.right.String()}
		}
		return quantity{n: n.Quo(l.n, r.n), dim: l.dim.minus(r.dim)}, nil
	}
	if l.dim != r.dim {
		return l, wrongAt(b.column, "%s is %v and %s is %v: they have no sum", b.left, l.dim, b.right, r.dim)
	}
	if b.op == "-" {
		return quantity{n: n.Sub(l.n, r.n), dim: l.dim}, nil
	}
	return quantity{n: n.Add(l.n, r.n), dim: l.dim}, nil
}

// A zeroError is a division by what turned out to be zero.
type zeroError struct{ what string }

func (e *zeroError) Error() string { return e.what + " is 0, and nothing can be divided by it" }

// String has parentheses where they are needed to be read the same.
func (b *binary) String() string {
	left, right := b.left.String(), b.right.String()
	if l, ok := b.left.(*binary); ok && precedence[l.op] < precedence[b.op] {
		left = "(" + left + ")"
	}
	if r, ok := b.right.(*binary); ok && precedence[r.op] <= precedence[b.op] {
		right = "(" + right + ")"
	}
	return left + " " + b.op + " " + right
}

var precedence = map[string]int{"+": 1, "-": 1, "*": 2, "/": 2}

// A comparison is an expectation: terms in a row, each compared with the next, as in
// 90% < a / b <= 1.
type comparison struct {
	terms   []expr
	ops     []string
	columns []int // of the ops
}

func (c *comparison) String() string {
	var b strings.Builder
	b.WriteString(c.terms[0].String())
	for i, op := range c.ops {
		fmt.Fprintf(&b, " %s %s", op, c.terms[i+1])
	}
	return b.String()
}

// unit is the unit of the first literal that has one, in which what was found is
// shown.
func (c *comparison) unit() unit {
	for _, t := range c.terms {
		if l, ok := t.(*literal); ok && l.unit != "" {
			u, _ := unitNamed(l.unit)
			return u
		}
	}
	return unit{}
}

// judge says whether it holds, and what was found: the values of all terms that are
// no literals. An error is a zeroError, a syntaxError or what look says.
func (c *comparison) judge(look lookup) (met bool, found string, err error) {
	values := make([]quantity, len(c.terms))
	for i, t := range c.terms {
		if values[i], err = t.eval(look); err != nil {
			return false, "", err
		}
	}
	met = true
	for i, op := range c.ops {
		l, r := values[i], values[i+1]
		switch {
		case l.dim != r.dim:
			return false, "", wrongAt(c.columns[i], "%s is %v and %s is %v: they cannot be compared", c.terms[i], l.dim, c.terms[i+1], r.dim)
		case l.dim == text && op != "==" && op != "!=":
			return false, "", wrongAt(c.columns[i], "a text is no number: it can be compared by == and !=, and no more")
		}
		met = met && holds(op, l.cmp(r))
	}
	return met, c.found(values), nil
}

// found writes the values of terms that are no literals, to more decimals if one
// would look like another that it does not equal.
func (c *comparison) found(values []quantity) string {
	places := 3
	for i, v := range values[1:] {
		if w := values[i]; v.dim == w.dim && v.cmp(w) != 0 && v.in(c.unit()) == w.in(c.unit()) {
			places = 12
		}
	}
	var list, of []string
	for i, t := range c.terms {
		if _, ok := t.(*literal); !ok {
			list, of = append(list, values[i].to(c.unit(), places)), append(of, t.String())
		}
	}
	for i := range list {
		if len(list) > 1 {
			list[i] = of[i] + " = " + list[i]
		}
	}
	return strings.Join(list, ", ")
}

// cmp compares values of one dimension.
func (q quantity) cmp(r quantity) int {
	if q.dim == text {
		return strings.Compare(q.text, r.text)
	}
	return q.n.Cmp(r.n)
}

func holds(op string, cmp int) bool {
	switch op {
	case "==":
		return cmp == 0
	case "!=":
		return cmp != 0
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}

// names are those that stand in it, in their order.
func (c *comparison) names() (list []*name) {
	var walk func(expr)
	walk = func(e expr) {
		switch e := e.(type) {
		case *name:
			list = append(list, e)
		case *binary:
			walk(e.left)
			walk(e.right)
		}
	}
	for _, t := range c.terms {
		walk(t)
	}
	return list
}
