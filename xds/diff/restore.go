package diff

import (
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/schema"
)

const typedExtension = "envoy.config.core.v3.TypedExtensionConfig"

// restore undoes in items what istiod's dump does to Wasm extensions: it shows what is in the TypedExtensionConfig without it, and so
// without the name by which the proxy asked. Names are those of other extensions by the name of their plugin.
func restore(items []Item, names map[string]string) {
	for i := range items {
		it := &items[i]
		if it.Kind != resource.Extension || !isBare(it.Body) {
			continue
		}
		plugin := it.Body.Str("config", "name")
		if name, ok := names[plugin]; ok {
			it.Name = name
		} else if it.Name == "" {
			it.Name = plugin
		}
		w := writer{object: true}
		w.open()
		w.kid(rawjson.Value(`"@type"`), rawjson.Value(`"type.googleapis.com/`+typedExtension+`"`))
		w.kid(rawjson.Value(`"name"`), rawjson.Quote(nil, it.Name))
		w.kid(rawjson.Value(`"typed_config"`), it.Body)
		it.Body, it.body = w.close(), nil
	}
}

// plugins gives the names of extensions by the names of their plugins.
func plugins(items []Item) map[string]string {
	names := map[string]string{}
	for _, it := range items {
		if it.Kind == resource.Extension && !isBare(it.Body) {
			if plugin := it.Body.Str("typed_config", "config", "name"); plugin != "" {
				names[plugin] = it.Name
			}
		}
	}
	return names
}

// isBare reports whether the body of an extension lacks the TypedExtensionConfig around it.
func isBare(body rawjson.Value) bool {
	t := body.Str("@type")
	return t != "" && schema.TypeOfAny(t) != typedExtension
}

// isAwaited reports whether the proxy has asked for a secret and received nothing yet: it is warming, and there is nothing to it but its name.
func isAwaited(kind resource.Kind, body rawjson.Value) bool {
	if kind != resource.Secret {
		return false
	}
	for name := range body.Members() {
		if name != "@type" && name != "name" {
			return false
		}
	}
	return true
}

// received gives what a proxy has of what it gets from a control plane. Everything counts as active.
func received(items []Item) []Item {
	type id struct {
		kind resource.Kind
		name string
	}
	active := map[id]bool{}
	eds := map[string]bool{}
	for _, it := range items {
		if it.State == resource.Active {
			active[id{it.Kind, it.Name}] = true
		}
		if it.Kind == resource.Cluster && it.State != resource.Static && it.Body.Str("type") == "EDS" {
			name := it.Body.Str("eds_cluster_config", "service_name")
			if name == "" {
				name = it.Name
			}
			eds[name] = true
		}
	}
	items = slices.DeleteFunc(items, func(it Item) bool {
		switch it.State {
		case resource.Active:
			return it.Kind == resource.Endpoint && len(eds) > 0 && !eds[it.Name]
		case resource.Warming:
			return active[id{it.Kind, it.Name}] || isAwaited(it.Kind, it.Body)
		}
		return true
	})
	for i := range items {
		items[i].State = resource.Active
	}
	return items
}
