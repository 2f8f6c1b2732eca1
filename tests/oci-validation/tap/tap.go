// SPDX-License-Identifier: Apache-2.0

// Package tap writes the Test Anything Protocol for the programs of runtime-tools: what they use of github.com/mndrix/tap-go, which Debian doesn't have.
package tap

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// T counts the points of one program.
type T struct {
	points *int
	suffix string
}

// New returns a T that writes to standard output.
func New() *T {
	return &T{points: new(int)}
}

// Todo returns a T whose points are expected to be missed (TAP's directive of that name).
func (t *T) Todo() *T {
	return &T{points: t.points, suffix: " # TODO"}
}

// Header begins the output; with a number above 0 it is the plan as well.
func (t *T) Header(points int) {
	fmt.Println("TAP version 13")
	if points > 0 {
		fmt.Printf("1..%d\n", points)
	}
}

// AutoPlan is the plan at the end, when nobody knew the number before.
func (t *T) AutoPlan() {
	fmt.Printf("1..%d\n", *t.points)
}

func (t *T) point(result, text string) {
	*t.points++
	fmt.Printf("%s %d - %s%s\n", result, *t.points, strings.ReplaceAll(text, "\n", " "), t.suffix)
}

// Ok is one point, reached or missed.
func (t *T) Ok(reached bool, text string) {
	if reached {
		t.Pass(text)
	} else {
		t.Fail(text)
	}
}

// Pass is a point that is reached.
func (t *T) Pass(text string) {
	t.point("ok", text)
}

// Fail is a point that is missed.
func (t *T) Fail(text string) {
	t.point("not ok", text)
}

// Skip gives `points` away, with the reason.
func (t *T) Skip(points int, reason string) {
	for ; points > 0; points-- {
		*t.points++
		fmt.Printf("ok %d # SKIP %s\n", *t.points, reason)
	}
}

// Diagnostic is a remark of one or more lines.
func (t *T) Diagnostic(text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		fmt.Println("# " + line)
	}
}

// Diagnosticf is Diagnostic with a format.
func (t *T) Diagnosticf(format string, args ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, args...))
}

// YAML is a block behind the last point. JSON is YAML.
func (t *T) YAML(value interface{}) error {
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "  ---\n  %s\n  ...\n", text)
	return err
}
