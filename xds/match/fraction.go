package match

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Fraction is a part of all requests: those whose random number modulo Denominator is below Numerator.
type Fraction struct{ Numerator, Denominator uint64 }

// Share is the part as a number from 0 to 1.
func (f Fraction) Share() float64 {
	if f.Numerator >= f.Denominator {
		return 1
	}
	return float64(f.Numerator) / float64(f.Denominator)
}

// Holds reports whether a request with that random number is one of them.
func (f Fraction) Holds(random uint64) bool {
	return f.Numerator >= f.Denominator || random%f.Denominator < f.Numerator
}

// Always and Never report a part that is all requests, or none.
func (f Fraction) Always() bool { return f.Numerator >= f.Denominator }

// Never reports a part that no request is in.
func (f Fraction) Never() bool { return f.Numerator == 0 }

// String is the part as a percentage.
func (f Fraction) String() string {
	text := strconv.FormatFloat(f.Share()*100, 'f', 4, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

// RuntimeFraction reads an envoy.config.core.v3.RuntimeFractionalPercent: a runtime value of its key takes the place of the default. A
// whole number there is a percentage.
func RuntimeFraction(v rawjson.Value, runtime map[string]any) Fraction {
	return KeyedFraction(v.Str("runtime_key"), v.Get("default_value"), runtime)
}

// KeyedFraction reads an envoy.type.v3.FractionalPercent that a runtime value of a key takes the place of; see RuntimeFraction.
func KeyedFraction(key string, v rawjson.Value, runtime map[string]any) Fraction {
	if value, ok := runtime[key]; ok && key != "" {
		if f, ok := runtimeFraction(value); ok {
			return f
		}
	}
	return fractionalPercent(v)
}

func runtimeFraction(value any) (Fraction, bool) {
	if m, ok := value.(map[string]any); ok {
		body, err := json.Marshal(m)
		if err != nil || m["numerator"] == nil && m["denominator"] == nil {
			return Fraction{}, false
		}
		return fractionalPercent(body), true
	}
	n, ok := RuntimeUint(value)
	return Fraction{n, 100}, ok
}

// RuntimeUint reads a runtime value as a whole number that is not negative.
func RuntimeUint(value any) (uint64, bool) {
	switch value.(type) {
	case string, int, int64, uint64, json.Number, float64:
		n, err := strconv.ParseUint(fmt.Sprint(value), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func fractionalPercent(v rawjson.Value) Fraction {
	n, _ := v.Get("numerator").Uint()
	f := Fraction{n, 100}
	switch v.Str("denominator") {
	case "TEN_THOUSAND", "1":
		f.Denominator = 10_000
	case "MILLION", "2":
		f.Denominator = 1_000_000
	}
	return f
}
