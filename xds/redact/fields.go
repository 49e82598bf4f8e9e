package redact

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A rule decides by the value of a member whether the member is the sensitive field of its name.
type rule func(src []byte, i int) bool

// fields are the fields of Envoy's protos marked with udpa.annotations.sensitive, by name, and then names under which extensions, and some messages of
// Envoy that lack the mark, have their credentials. Names that other messages use for other things have a rule for the shape of their value.
var fields = map[string]rule{
	"private_key":                    anyShape,
	"private_key_provider":           never, // see mode provider
	"password":                       textOrSource,
	"pkcs12":                         textOrSource,
	"auth_password":                  textOrSource,
	"auth_username":                  textOrSource,
	"downstream_auth_password":       textOrSource,
	"downstream_auth_passwords":      textOrSource,
	"downstream_auth_username":       textOrSource,
	"secret_data":                    textOrSource,
	"web_identity_token_data_source": textOrSource,
	"credentials_data_source":        textOrSource,
	"secret_access_key":              textOrSource,
	"session_token":                  textOrSource,
	"backend_token":                  textOrSource,
	"secret":                         textOrSource, // also an Any in a secrets section
	"secrets":                        sourceMap,    // also a list of secrets in a bootstrap
	"keys":                           sourceList,   // also the keys of a load balancer's subset
	"users":                          source,       // of basic authentication
	"credentials":                    apiKeys,      // of API key authentication
	"context_extensions":             textMap,      // of external authorization
	"kty":                            never,        // of a JSON Web Key, see webKey
	"header":                         never,        // to add, see credentialHeader
	"headers_to_add":                 never,
	"initial_metadata":               never,
	"key_values":                     never, // of an environment, see mode environment

	"access_token":         isText,
	"bearer_token":         isText, // also the name of a cookie, as the next two: see mode names
	"refresh_token":        isText,
	"id_token":             isText,
	"google_refresh_token": isText,
	"authorization_token":  isText,
	"json_key":             isText,
	"token":                isText,
	"auth_token":           isText,
	"client_secret":        isText,
	"hmac_secret":          isText,
	"token_secret":         isText,
	"secret_key":           isText,
	"signing_key":          isText,
	"api_key":              isText,
	"apikey":               isText,
	"passphrase":           isText,
	"passwd":               isText,
}

// rules has fields under their names in snake_case and in lowerCamelCase.
var rules = func() map[string]rule {
	m := map[string]rule{}
	for name, r := range fields {
		m[name] = r
		m[camel(name)] = r
	}
	return m
}()

func camel(name string) string {
	var b []byte
	for _, word := range bytes.Split([]byte(name), []byte("_")) {
		if len(b) > 0 && len(word) > 0 {
			word = append(bytes.ToUpper(word[:1:1]), word[1:]...)
		}
		b = append(b, word...)
	}
	return string(b)
}

// sensitiveKeys are the names in rules.
var sensitiveKeys = rawjson.NewKeySet(slices.Collect(maps.Keys(rules))...)

// member gives the mode for the value at i of a member.
func (m mode) member(src []byte, key string, i int) mode {
	if m == wipe {
		return wipe
	}
	if key == "private_key_provider" || key == "privateKeyProvider" {
		return provider
	}
	if m == provider && (key == "config" || key == "typed_config" || key == "typedConfig") {
		return wipe
	}
	switch {
	case key == "cookie_names" || key == "cookieNames":
		return names
	case m == names:
		return search
	case (key == "key_values" || key == "keyValues") && src[i] == '{':
		return environment
	case m == environment && src[i] == '"' && isSecretName(key):
		return wipe
	}
	if rule := rules[key]; rule != nil && rule(src, i) {
		return wipe
	}
	return search
}

// secretNames end the names of variables and headers that hold credentials, in lower case with underscores.
var secretNames = []string{"token", "secret", "password", "passwd", "passphrase", "credential", "credentials", "api_key", "apikey", "access_key", "secret_key", "private_key", "subscription_key"}

// isSecretName tells by its name that a variable or a header holds a credential.
func isSecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return slices.ContainsFunc(secretNames, func(end string) bool { return strings.HasSuffix(name, end) })
}

// isProvider reports whether a quoted @type is that of a private key provider, whose configuration is sensitive.
func isProvider(quoted []byte) bool { return bytes.HasSuffix(quoted, []byte(`.PrivateKeyProvider"`)) }

// isBytes reports whether a field holds bytes, which JSON has in base64.
func isBytes(key string) bool { return key == "inline_bytes" || key == "inlineBytes" }

func never([]byte, int) bool { return false }

func isText(src []byte, i int) bool { return src[i] == '"' }

func anyShape(src []byte, i int) bool {
	return src[i] == '"' || src[i] == '{' || src[i] == '['
}

func textOrSource(src []byte, i int) bool {
	return src[i] == '"' || source(src, i) || sourceList(src, i)
}

// source tells an envoy.config.core.v3.DataSource by its members.
func source(src []byte, i int) bool {
	_, ok := sourceEnd(src, i)
	return ok
}

func sourceEnd(src []byte, i int) (int, bool) {
	return shape(src, i, func(key string, i int) (int, bool) {
		switch key {
		case "inline_bytes", "inline_string", "filename", "environment_variable", "inlineBytes", "inlineString", "environmentVariable":
			return stringEnd(src, i)
		case "watched_directory", "watchedDirectory":
			return shape(src, i, func(key string, i int) (int, bool) {
				if key != "path" {
					return i, false
				}
				return stringEnd(src, i)
			})
		}
		return i, false
	})
}

func sourceMap(src []byte, i int) bool {
	_, ok := shape(src, i, func(_ string, i int) (int, bool) { return sourceEnd(src, i) })
	return ok
}

func sourceList(src []byte, i int) bool { return list(src, i, sourceEnd) }

// apiKeys tells a list of envoy.extensions.filters.http.api_key_auth.v3.Credential.
func apiKeys(src []byte, i int) bool {
	return list(src, i, func(src []byte, i int) (int, bool) {
		return shape(src, i, func(key string, i int) (int, bool) {
			if key != "key" && key != "client" {
				return i, false
			}
			return stringEnd(src, i)
		})
	})
}

func textMap(src []byte, i int) bool {
	_, ok := shape(src, i, func(_ string, i int) (int, bool) { return stringEnd(src, i) })
	return ok
}

func stringEnd(src []byte, i int) (int, bool) {
	if src[i] != '"' {
		return i, false
	}
	end, err := rawjson.SkipString(src, i)
	return end, err == nil
}

// shape reports whether the value at i is an object with members that all satisfy member, which says where their value ends. It stops at
// the first that does not.
func shape(src []byte, i int, member func(key string, i int) (int, bool)) (int, bool) {
	if src[i] != '{' || src[i+1] == '}' {
		return i, false
	}
	for src[i] != '}' {
		end, _ := rawjson.SkipString(src, i+1)
		var ok bool
		if i, ok = member(rawjson.Value(src[i+1:end]).Text(), end+1); !ok {
			return i, false
		}
	}
	return i + 1, true
}

// list reports whether the value at i is an array of elements that all satisfy elem.
func list(src []byte, i int, elem func(src []byte, i int) (int, bool)) bool {
	if src[i] != '[' || src[i+1] == ']' {
		return false
	}
	for src[i] != ']' {
		var ok bool
		if i, ok = elem(src, i+1); !ok {
			return false
		}
	}
	return true
}
