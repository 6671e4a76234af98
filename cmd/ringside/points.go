package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"ringside"
	"ringside/internal/sweep"
	"ringside/internal/wholefile"
	"ringside/load"
	"ringside/machine"
)

// points are runs of machines that differ in some flags, on one load or on the same
// captures.
type points struct {
	point loadOptions // what every point has
	text  string      // of the load; "" for captures
}

// pointFlags is a set of the flags that a point has, which set o.
func pointFlags(o *loadOptions) *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.pointFlags(fs)
	return fs
}

func (o *loadOptions) pointFlags(fs *pflag.FlagSet) {
	o.machine(fs)
	o.batching(fs)
	o.sched(fs)
	o.trial(fs)
}

// flags adds those of every point, and of the load.
func (p *points) flags(fs *pflag.FlagSet) {
	p.point.pointFlags(fs)
	p.loadFlag(fs)
}

func (p *points) loadFlag(fs *pflag.FlagSet) {
	fs.Var(&value{kind: "SPEC", set: func(t string) error { p.text = t; return p.point.setLoad(t) }}, "load", "the load of every point, as ringside load has it; otherwise captures are played")
}

// loadKnobs turn a part of the load.
var loadKnobs = map[string]func(*load.Spec, string) error{
	"rate": func(s *load.Spec, v string) (err error) {
		s.Rate, err = load.ParseRate(v)
		return err
	},
	"size": func(s *load.Spec, v string) error {
		one, err := load.Parse(v)
		s.Sizes = one.Sizes
		return err
	},
	"flows": func(s *load.Spec, v string) (err error) {
		s.Flows, err = strconv.Atoi(v)
		return err
	},
	"burst": func(s *load.Spec, v string) (err error) {
		s.Burst, err = strconv.Atoi(v)
		return err
	},
}

// given is the flags of points that were given, but for the knobs themselves.
func (p *points) given(but ...string) (list []sweep.Setting) {
	fs := pointFlags(&loadOptions{})
	p.point.flags.Visit(func(f *pflag.Flag) {
		if fs.Lookup(f.Name) == nil || slices.Contains(but, f.Name) {
			return
		}
		if v, ok := f.Value.(*value); ok {
			for _, text := range v.all {
				list = append(list, sweep.Setting{Flag: f.Name, Value: text})
			}
			return
		}
		list = append(list, sweep.Setting{Flag: f.Name, Value: f.Value.String()})
	})
	return list
}

// read is the files beside captures that the outcome depends on, when these are the
// settings of points.
func read(settings []sweep.Setting) (files []string) {
	for _, s := range settings {
		switch {
		case s.Flag == "config",
			s.Flag == "book" && strings.HasSuffix(s.Value, ".yaml"),
			s.Flag == "machine" && machine.IsFile(s.Value):
			if !slices.Contains(files, s.Value) {
				files = append(files, s.Value)
			}
		}
	}
	return files
}

// fileOf is a file that is read once for each point.
func fileOf(name string) (sweep.File, error) {
	if name == "-" {
		return sweep.File{}, errors.New("sweep: standard input can be read once, and there are many points; give a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return sweep.File{}, fmt.Errorf("sweep: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sweep.File{}, fmt.Errorf("sweep: %w", err)
	}
	return sweep.File{Name: name, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// options are those of a point whose settings, beside the load, these are. The verb
// stands in front of errors.
func (p *points) options(verb string, settings []sweep.Setting) (*loadOptions, error) {
	o := &loadOptions{load: p.point.load}
	o.load.Sizes = slices.Clone(o.load.Sizes)
	fs := pointFlags(o)
	for _, s := range settings {
		var err error
		switch turn := loadKnobs[s.Flag]; {
		case s.Flag == "load":
		case turn == nil:
			err = fs.Set(s.Flag, s.Value)
			var wrong *pflag.InvalidValueError
			if errors.As(err, &wrong) {
				err = wrong.Unwrap()
			}
			if _, ok := errors.AsType[*strconv.NumError](err); ok && fs.Lookup(s.Flag).Value.Type() == "bool" {
				err = errors.New("give true or false")
			}
		case p.text == "":
			return nil, usagef("%s: %s is a part of the load, and captures have none; give --load", verb, s.Flag)
		default:
			if err = turn(&o.load, s.Value); err == nil {
				err = o.load.Check()
			}
		}
		if err != nil {
			return nil, usagef("%s: %s %s: %w", verb, s.Flag, s.Value, err)
		}
	}
	o.replay.Files = p.point.replay.Files
	return o, o.ready()
}

// play runs a point: a trial of the load, or a replay of the captures.
func (p *points) play(ctx context.Context, o *loadOptions) (*ringside.Trial, *ringside.Report, error) {
	if p.text == "" {
		o.replay.Context = ctx
		rep, err := o.replay.Run(o.cfg, nil)
		return nil, rep, err
	}
	l, err := o.made(ctx)
	if err != nil {
		return nil, nil, err
	}
	t, err := l.Run(o.cfg, nil)
	return t, nil, err
}

// An output is a file that is asked for, and what writes it; without a name it is not.
type output struct {
	name  string
	write func(io.Writer) error
}

// writeFiles writes files of which all appear whole, or none does.
func writeFiles(list ...output) error {
	var files []*wholefile.File
	for _, f := range list {
		if f.name == "" {
			continue
		}
		file, err := wholefile.Create(f.name)
		if err != nil {
			return &usageError{err}
		}
		defer file.Close()
		if err := f.write(file); err != nil {
			return err
		}
		files = append(files, file)
	}
	for _, f := range files {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}
