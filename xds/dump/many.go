package dump

import (
	"errors"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// A Named is one of several dumps in a text.
type Named struct {
	Namespace, Pod string // both empty when the text is one dump that does not say whose it is
	Dump           *Dump
}

// SplitAll reads a text that may hold the dumps of several proxies, as egctl prints them: {"namespace": {"pod": DUMP}}. Any text
// that Split accepts gives one dump without a name.
func SplitAll(store *resource.Store, src []byte, o Options) ([]*Named, error) {
	d, err := splitOne(store, src, o)
	if err == nil {
		return []*Named{{Dump: d}}, nil
	}
	var unknown errUnknown
	if !errors.As(err, &unknown) {
		return nil, err
	}
	s := newSplitter(store, src, o)
	start, err := s.begin()
	if err != nil {
		return nil, s.fault(err)
	}
	var all []*Named
	if s.Is(start, '{') {
		all, err = s.namespaces(start, store, o)
		if err == nil {
			return all, nil
		}
	}
	return nil, s.foreign(unknown)
}

// splitOne is Split that leaves errUnknown to its caller.
func splitOne(store *resource.Store, src []byte, o Options) (*Dump, error) {
	s := newSplitter(store, src, o)
	if err := s.document(); err != nil {
		return nil, s.fault(err)
	}
	return s.dump, nil
}

// namespaces reads the map that egctl prints.
func (s *splitter) namespaces(i int, store *resource.Store, o Options) ([]*Named, error) {
	var all []*Named
	_, err := s.Members(i, func(ns string, at int) (int, error) {
		if !s.Is(at, '{') {
			return at, errUnknown{s.Position(at)}
		}
		return s.Members(at, func(pod string, at int) (int, error) {
			if !s.Is(at, '{') {
				return at, errUnknown{s.Position(at)}
			}
			end, err := rawjson.Skip(s.Text, at)
			if err != nil {
				return end, err
			}
			one := newSplitter(store, s.Text, o)
			if _, err := one.item(at, 0); err != nil {
				return end, err
			}
			all = append(all, &Named{Namespace: ns, Pod: pod, Dump: one.dump})
			return end, nil
		})
	})
	return all, err
}
