package scenario

import "strings"

// Untold are results that were recorded and that the table of programs does not have.
func (r *Result) Untold() (list []string) {
	for _, f := range r.facts.list {
		if f.untold && !strings.Contains(f.name, "/") {
			list = append(list, f.name)
		}
	}
	return list
}
