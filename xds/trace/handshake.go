package trace

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
)

// terminate looks at what the chain's transport socket wants of the client, and gives the connection what the handshake tells of it.
func (t *tracer) terminate(chain listener.Chain, client filterchain.Client, r Request, conn *match.Connection) (Verdict, bool) {
	context, wants := chain.TLS()
	if !wants {
		return Verdict{}, true
	}
	step := explain.Step{Question: "does the client do what the chain's TLS wants?", Answer: "yes"}
	defer func() { t.step(step) }()
	refuse := func(answer, reason string) (Verdict, bool) {
		step.Answer = "no: " + answer
		return Verdict{Reason: reason}, false
	}
	asked, required := context.ClientCertificate()
	switch {
	case !client.TLS:
		return refuse("it sends plaintext to a chain that wants TLS", "the client sends plaintext where "+called(chain)+" wants TLS: the connection is closed")
	case required && !r.Peer.Presented:
		return refuse("it presents no certificate", called(chain)+" requires a client certificate and the client presents none: the handshake fails")
	}
	conn.TLS = true
	if !asked { // a client presents its certificate to who asks for it
		return Verdict{}, true
	}
	conn.Peer = r.Peer
	var names []match.String
	for _, v := range context.SubjectAltNames() {
		names = append(names, match.NewString(v))
	}
	wanted := orJoined(names)
	switch have := r.Peer.Names(); {
	case len(names) == 0 || !r.Peer.Presented:
	case len(have) == 0:
		step.Unmodelled = append(step.Unmodelled, "whether the client's certificate has a name that "+called(chain)+" takes: "+wanted)
	case !slices.ContainsFunc(names, func(m match.String) bool { return slices.ContainsFunc(have, m.Match) }):
		return refuse("it takes certificates for "+wanted+", and the client's is for "+strings.Join(have, ", "),
			called(chain)+" takes client certificates for "+wanted+" and the client's is for "+strings.Join(have, ", ")+": the handshake fails")
	}
	return Verdict{}, true
}

func orJoined(names []match.String) string {
	texts := make([]string, len(names))
	for i, m := range names {
		texts[i] = m.String()
	}
	return strings.Join(texts, " or ")
}
