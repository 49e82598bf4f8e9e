// Package source tells what the user's -s names: dump files, one Envoy, an istiod, a control plane that is asked as a node.
package source

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	"github.com/meshlark/meshlark/mesh/source/dumpfile"
	"github.com/meshlark/meshlark/mesh/source/envoy"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/istiod"
)

// A SpecError says that a spec names no kind of source. It does not list those there are: whoever names specs may know more than [Forms].
type SpecError struct{ Spec, Reason string }

func (e *SpecError) Error() string { return fmt.Sprintf("source %q: %s", e.Spec, e.Reason) }

// A Form is one way to name a source, for help.
type Form struct{ Spec, Doc string }

// Forms lists the ways to name a source.
func Forms() []Form {
	return []Form{
		{"http://HOST:15000", "one Envoy's admin interface (https too)"},
		{"istiod+http://HOST:15014", "an istiod's debug API: sync status, desired configuration"},
		{"xds://HOST:15010?node=ID", "what a control plane sends to that node, asked by ADS (&metadata=FILE; xds+tls:// too)"},
		{"FILE.json", "a config dump as saved by curl, istioctl or egctl, or a bootstrap (.json.gz and .yaml too)"},
		{"DIR", "a directory of dumps"},
		{"-", "a dump on standard input"},
	}
}

// Network tells whether a spec names something that is reached over the network.
func Network(spec string) bool { return strings.Contains(spec, "://") }

// An Opener makes sources of specs.
type Opener struct {
	Stdin io.Reader     // for "-"
	Fetch fetch.Options // for network sources
	ADS   ads.Options   // for control planes that are asked as a node
	// Way is how istiods serve ADS; nil is in plain text, at their usual port.
	Way *ads.Way
}

// Open makes a source. Nothing is read yet; what cannot be a source is a *SpecError.
func (o Opener) Open(spec string) (mesh.Source, error) {
	if spec == "" {
		return nil, &SpecError{spec, "it is empty"}
	}
	if !Network(spec) {
		if name, _, ok := strings.Cut(spec, ":"); ok && !strings.ContainsAny(name, `/\.`) && len(name) > 1 {
			if _, err := os.Stat(spec); err != nil { // a time in a file's name has colons
				return nil, &SpecError{spec, fmt.Sprintf("there is no source of the kind %q, and no file of that name", name)}
			}
		}
		return dumpfile.New(spec, o.Stdin), nil
	}
	scheme, _, _ := strings.Cut(spec, "://")
	if scheme == ads.Scheme || scheme == ads.SchemeTLS {
		s, err := ads.ParseSpec(spec)
		if err != nil {
			return nil, &SpecError{spec, err.Error()}
		}
		return ads.New(s, o.ADS), nil
	}
	base, isIstiod := strings.CutPrefix(spec, "istiod+")
	u, err := url.Parse(base)
	if err != nil {
		return nil, &SpecError{spec, "it is no URL: " + strings.TrimPrefix(err.Error(), "parse ")}
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, &SpecError{spec, fmt.Sprintf("there is no source with the scheme %q", scheme)}
	}
	if u.Host == "" || u.Hostname() == "" {
		return nil, &SpecError{spec, "it names no host"}
	}
	// After a # an istiod may have a name.
	if u.RawQuery != "" || u.Fragment != "" && !isIstiod {
		return nil, &SpecError{spec, "it must not have a query or fragment"}
	}
	shown := spec
	if u.User != nil {
		shown = strings.Replace(spec, u.User.String()+"@", "", 1)
	}
	if isIstiod {
		s := istiod.New(shown, base, o.Fetch)
		s.UseADS(o.Way, o.ADS)
		return s, nil
	}
	return envoy.New(shown, base, o.Fetch), nil
}
