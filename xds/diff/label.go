package diff

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// mostLabel is how many bytes of a description a path shows.
const mostLabel = 120

// label names the elements of an array for paths: by their keys where the policy has keys, by what they say in a set, else by number.
// Where several elements have one name the next key is added, and then a count. Elements without a key are named by number.
func (n *node) label() {
	n.labels = make([]string, len(n.kids))
	if n.policy.order == Ordered && len(n.policy.keys) == 0 {
		for i := range n.kids {
			n.labels[i] = index(i)
		}
		return
	}
	count := map[string]int{}
	tally := func() {
		clear(count)
		for _, l := range n.labels {
			count[l]++
		}
	}
	if n.policy.order == Set {
		for i := range n.kids {
			n.labels[i] = short(describe(n.kids[i].node))
		}
		tally()
	} else {
		for level, k := range n.policy.keys {
			for i := range n.kids {
				if level > 0 && n.labels[i] != "" && count[n.labels[i]] == 1 {
					continue
				}
				n.labels[i] = strings.TrimSpace(n.labels[i] + " " + short(k.describe(n.kids[i].node)))
			}
			tally()
		}
	}
	seen := map[string]int{}
	for i, l := range n.labels {
		switch {
		case l == "" && n.policy.order != Set || n.policy.order == Ordered && count[l] > 1:
			n.labels[i] = index(i)
		case count[l] > 1:
			if seen[l]++; seen[l] > 1 {
				n.labels[i] = strings.TrimSpace(l + " #" + index(seen[l]))
			}
		}
	}
}

// short cuts a description in the middle.
func short(text string) string {
	if len(text) <= mostLabel {
		return text
	}
	const half = mostLabel/2 - 2
	return strings.ToValidUTF8(text[:half], "") + "..." + strings.ToValidUTF8(text[len(text)-half:], "")
}

// describe tells the key of an element in words.
func (k key) describe(elem *node) string {
	var words []string
	for _, path := range k {
		if word := describePath(elem, path); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func describePath(elem *node, path []string) string {
	if field := elem.at(path); field != nil {
		return describe(field)
	}
	// An absent enum has its first value.
	if elem.msg == nil || len(path) != 1 {
		return ""
	}
	if f, ok := elem.msg.Field(path[0]); ok && f.Enum() != nil {
		return f.Enum().ValueName(0)
	}
	return ""
}

// describe tells what a value says in words: addresses and ranges as people write them, of other messages their fields.
func describe(n *node) string {
	switch n.kind {
	case rawjson.Array:
		words := make([]string, 0, len(n.kids))
		for i := range n.kids {
			words = append(words, describe(n.kids[i].node))
		}
		if n.policy != nil && n.policy.order != Ordered {
			slices.Sort(words)
		}
		return strings.Join(words, ",")
	case rawjson.Object:
		if n.msg != nil {
			if words, ok := describeMessage(n); ok {
				return words
			}
		}
		words := make([]string, 0, len(n.kids))
		for i := range n.kids {
			k := &n.kids[i]
			if k.name == "@type" {
				continue
			}
			word := describe(k.node)
			if k.node.kind == rawjson.Object {
				word = "{" + word + "}"
			}
			words = append(words, k.name+"="+word)
		}
		slices.Sort(words)
		return strings.Join(words, " ")
	case rawjson.Absent, rawjson.Null:
		return ""
	}
	if n.scalar == asEnum && n.enum != nil {
		if number, ok := enumNumber(n); ok {
			if name := n.enum.ValueName(number); name != "" {
				return name
			}
		}
	}
	if n.scalar == asWhole {
		if text, ok := number(n.text); ok {
			return string(text)
		}
	}
	return n.text.Text()
}

// describeMessage knows the messages that lists are often keyed by.
func describeMessage(n *node) (string, bool) {
	word := func(path ...string) string {
		if field := n.at(path); field != nil {
			return describe(field)
		}
		return ""
	}
	switch n.msg.Name {
	case "envoy.config.core.v3.CidrRange", "xds.core.v3.CidrRange":
		bits := word("prefix_len")
		if bits == "" {
			bits = "0"
		}
		return word("address_prefix") + "/" + bits, true
	case "envoy.config.core.v3.SocketAddress":
		host, port := word("address"), word("port_value")
		if port == "" {
			port = word("named_port")
		}
		if strings.Contains(host, ":") {
			host = "(" + host + ")"
		}
		return host + ":" + port, true
	case "envoy.config.core.v3.Pipe":
		return "unix:" + word("path"), true
	case "envoy.config.core.v3.EnvoyInternalAddress":
		return strings.TrimSuffix("internal:"+word("server_listener_name")+"/"+word("endpoint_id"), "/"), true
	case "envoy.config.core.v3.Locality":
		return strings.TrimRight(word("region")+"/"+word("zone")+"/"+word("sub_zone"), "/"), true
	case "envoy.config.core.v3.Address":
		if len(n.kids) == 1 && n.kids[0].field != nil && n.kids[0].field.Kind == schema.MessageKind {
			return describe(n.kids[0].node), true
		}
	}
	return "", false
}
