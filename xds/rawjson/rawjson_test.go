package rawjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// texts are values that exercise every path; the fuzz targets start from them.
var texts = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-0`, `-1.5e+10`, `""`, `"a"`, `"\u00e9\ud83d\ude00 \"\\\/\b\f\n\r\t"`, `"é😀"`,
	`{"a":1,"a":2}`, `{"a":{"b":[1,2,{"c":null}]},"d":"x"}`, ` { "a" : [ 1 , 2 ] , "b" : "c d" } `,
	"{\n \"configs\": [\n  {\n   \"name\": \"outbound|80||a.b\"\n  }\n ]\n}",
	`{"a":"` + strings.Repeat("x", 200) + `\\","b":["` + strings.Repeat(`\"`, 50) + `"]}`,
	`[` + strings.Repeat(`{"k":"v]}"},`, 30) + `0]`,
	strings.Repeat("[", 200) + strings.Repeat("]", 200),
	"\"\x00\"", "\"\xff\"", `"\x"`, `"\u12"`, `01`, `1.`, `.5`, `+1`, `1e`, `tru`, `nul`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,]`, `{"a":1,}`,
	`[1 2]`, `{}{}`, `"a`, `{"a":1`, `[`, ``, ` `, "\xef\xbb\xbf{}", `"\ud800"`, `"\ud800\u0041"`, `1e999`, `123456789012345678901234567890`,
	`9223372036854775807`, `9223372036854775808`, `1.0`, `1e0`, `100e-2`, `0.001`, `1e-400`, `[1.0,1,1e0]`, `}`, `]`, `{]`, `[}`,
}

// valid is what Compact should accept: encoding/json does not look at UTF-8, and has its own limit of depth.
func valid(text []byte) bool { return json.Valid(text) && utf8.Valid(text) }

func checkCompact(t *testing.T, text []byte) {
	t.Helper()
	prefix := []byte("prefix")
	got, err := Compact(prefix, text)
	if want := valid(text); want != (err == nil) {
		t.Fatalf("Compact(%q): %v; valid: %v", text, err, want)
	}
	if err != nil {
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > int64(len(text)) || string(got) != "prefix" {
			t.Fatalf("Compact(%q): %v, %q", text, err, got)
		}
		return
	}
	var want bytes.Buffer
	if err := json.Compact(&want, text); err != nil {
		t.Fatal(err)
	}
	if string(got) != "prefix"+want.String() {
		t.Fatalf("Compact(%q)\ngot  %s\nwant %s", text, got, want.String())
	}
	// Skip finds the end of every valid value, whatever follows.
	for _, after := range []string{"", ",", "}", " ]", "\n"} {
		i := SkipSpace(text, 0)
		padded := append(bytes.TrimRight(bytes.Clone(text), " \n\r\t"), after...)
		end, err := Skip(padded, i)
		if err != nil || end != len(padded)-len(after) {
			t.Fatalf("Skip(%q): %d, %v", padded, end, err)
		}
	}
}

func TestCompact(t *testing.T) {
	for _, text := range texts {
		checkCompact(t, []byte(text))
	}
	for n := range 300 { // a fault and an end at every place of a block
		checkCompact(t, []byte(`["`+strings.Repeat("x", n)+`"]`))
		checkCompact(t, []byte(`["`+strings.Repeat("x", n)+"\x01\"]"))
		checkCompact(t, []byte(`["`+strings.Repeat("x", n)+`\n"]`))
		checkCompact(t, []byte(`["`+strings.Repeat("x", n)))
		checkCompact(t, []byte(strings.Repeat(" ", n)+`{"a":[`+strings.Repeat(" ", n)+`]}`))
	}
	for _, n := range []int{MaxDepth, MaxDepth + 1, 1_000_000} {
		text := []byte(strings.Repeat("[", n) + strings.Repeat("]", n))
		if _, err := Compact(nil, text); (err == nil) != (n <= MaxDepth) {
			t.Errorf("%d levels: %v", n, err)
		}
		if _, err := Decode(text); (err == nil) != (n <= MaxDepth) {
			t.Errorf("Decode of %d levels: %v", n, err)
		}
		Canonical(nil, text)
		if end, err := Skip(text, 0); err != nil || end != len(text) {
			t.Errorf("Skip of %d levels: %d, %v", n, end, err)
		}
	}
}

func TestCompactErrors(t *testing.T) {
	for _, test := range []struct {
		text   string
		offset int64
		msg    string
	}{
		{``, 0, "unexpected end, want a value"},
		{`{"a":1`, 6, "unexpected end, want ',' or '}'"},
		{`{"a" 1}`, 5, `unexpected '1', want ':' after the key`},
		{`{a:1}`, 1, `unexpected 'a', want a quoted key`},
		{`[1,]`, 3, `unexpected ']', want a value`},
		{`[1}`, 2, `unexpected '}', want ',' or ']'`},
		{`{} x`, 3, `'x' after the end of the value`},
		{"[\"a\nb\"]", 3, "control character 0x0a in a string"},
		{"[\"a\xff\"]", 3, "invalid UTF-8 in a string (byte 0xff)"},
		{`["\q"]`, 2, "invalid escape in a string"},
		{`[1.]`, 1, "invalid number"},
		{"[\xff]", 1, "unexpected byte 0xff, want a value"},
		{`["a`, 1, "string that is never closed"},
	} {
		for name, read := range map[string]func() error{
			"Compact": func() error { _, err := Compact(nil, []byte(test.text)); return err },
			"Decode":  func() error { _, err := Decode([]byte(test.text)); return err },
		} {
			var syntax *SyntaxError
			if err := read(); !errors.As(err, &syntax) || syntax.Offset != test.offset || syntax.Msg != test.msg {
				t.Errorf("%s(%q): got %v, want offset %d: %s", name, test.text, err, test.offset, test.msg)
			}
		}
	}
}

// TestFaithful: nothing but white space changes.
func TestFaithful(t *testing.T) {
	const want = `{"b":1.50,"a":1e2,"a":"\u0041\/","x":[-0,1E+2]}`
	got, err := Compact(nil, []byte("{ \"b\" : 1.50,\r\n\t\"a\":1e2, \"a\":\"\\u0041\\/\",\"x\":[ -0 , 1E+2 ] }"))
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestWatch(t *testing.T) {
	keys := NewKeySet("secret", "private_key")
	for text, want := range map[string]bool{
		`{"secret":1}`: true, `{"a":[{"private_key":{}}]}`: true, `{"\u0073ecret":1}`: true, `{"a":"secret"}`: false, `{"sacret":1}`: false,
		`{"secre":1,"secrets":2,"":3}`: false, `["` + strings.Repeat("x", 40) + `"]`: true, `{"` + strings.Repeat("x", 40) + `":1}`: true,
		`["` + strings.Repeat("x", 39) + `"]`: false, `["` + strings.Repeat("y", 40) + `"]`: false,
	} {
		w := Watch{Keys: keys, Long: 40, LongString: func(q []byte) bool { return q[1] == 'x' }}
		if _, err := CompactWatch(nil, []byte(text), &w); err != nil || w.Found != want {
			t.Errorf("%s: found %v, %v", text, w.Found, err)
		}
	}
}

// plain is what encoding/json decodes, with the whole numbers that fit as int.
func plain(t *testing.T, text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatal(err)
	}
	var ints func(any) any
	ints = func(x any) any {
		switch x := x.(type) {
		case json.Number:
			if n, err := strconv.Atoi(string(x)); err == nil && x != "-0" {
				return n
			}
		case []any:
			for i := range x {
				x[i] = ints(x[i])
			}
		case map[string]any:
			for k := range x {
				x[k] = ints(x[k])
			}
		}
		return x
	}
	return ints(x)
}

func checkDecode(t *testing.T, text []byte) {
	t.Helper()
	got, err := Decode(text)
	if want := valid(text); want != (err == nil) {
		t.Fatalf("Decode(%q): %v; valid: %v", text, err, want)
	}
	if err != nil {
		return
	}
	// Not cmp.Diff, which takes exponential time on deeply nested arrays.
	if want := plain(t, text); !reflect.DeepEqual(want, got) {
		t.Fatalf("Decode(%q)\ngot  %#v\nwant %#v", text, got, want)
	}
}

func TestDecode(t *testing.T) {
	for range 2 { // the second time from what is remembered
		for _, text := range texts {
			checkDecode(t, []byte(text))
		}
	}
	checkDecode(t, []byte(`["12",12,"true",true,"",{"":{}},"12"]`))
}

func TestCanonical(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{`{"b":1,"a":2}`, `{"a":2,"b":1}`},
		{`{"b":1,"a":2,"b":3}`, `{"a":2,"b":3}`},
		{`{"b":{"z":[{"y":1,"x":2}],"a":0},"a":[{"d":1,"c":2}]}`, `{"a":[{"c":2,"d":1}],"b":{"a":0,"z":[{"x":2,"y":1}]}}`},
		{` [ 1 , 2 ] `, `[1,2]`},
		{`[]`, `[]`}, {`{}`, `{}`}, {`[{},[]]`, `[{},[]]`},
		{`[1.0,1,1e0,10e-1,0.1e1]`, `[1,1,1,1,1]`},
		{`[0,-0,0.0,0e9]`, `[0,0,0,0]`},
		{`[0.5,5e-1,-0.05,12.340]`, `[0.5,0.5,-0.05,12.34]`},
		{`[1e3,1000,1e30]`, `[1000,1000,1e30]`},
		{`18446744073709551616`, `18446744073709551616`},
		{`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`1e99999999999999999999`, `1e99999999999999999999`},
		{`"\u0041\/\n\u000a\u001f"`, `"A/\n\n\u001f"`},
		{`"\u00e9"`, `"é"`}, {`"é"`, `"é"`},
		{`{"\u0061":1,"a":2}`, `{"a":2}`},
	} {
		got := string(Canonical(nil, Value(test.text)))
		if got != test.want {
			t.Errorf("Canonical(%s)\ngot  %s\nwant %s", test.text, got, test.want)
		}
		if again := string(Canonical(nil, Value(got))); again != got {
			t.Errorf("Canonical(%s) is %s, whose own is %s", test.text, got, again)
		}
	}
}

// TestNumbers: numbers are equal in canonical form when, and only when, they are.
func TestNumbers(t *testing.T) {
	numbers := []string{"0", "1", "10", "100", "1e21", "1e22", "1e23", "0.1", "0.01", "1e-20", "1e-21", "1e-22", "123", "12.3", "1.23", "0.123", "1.23e40", "-1", "-0.1"}
	for i, a := range numbers {
		for j, b := range numbers {
			if (string(Canonical(nil, Value(a))) == string(Canonical(nil, Value(b)))) != (i == j) {
				t.Errorf("%s and %s", a, b)
			}
		}
		f, err := strconv.ParseFloat(a, 64)
		if err != nil {
			t.Fatal(err)
		}
		g, err := strconv.ParseFloat(string(Canonical(nil, Value(a))), 64)
		if err != nil || f != g {
			t.Errorf("%s became %v, %v", a, g, err)
		}
		for _, spelling := range []string{fmt.Sprintf("%.10e", f), a + "e0", a + "E+0"} {
			if strings.Count(strings.ToLower(spelling), "e") > 1 {
				continue
			}
			if got, want := string(Canonical(nil, Value(spelling))), string(Canonical(nil, Value(a))); got != want {
				t.Errorf("%s is %s, %s is %s", spelling, got, a, want)
			}
		}
	}
}

func TestQuote(t *testing.T) {
	for _, s := range []string{"", "a", "a\"b\\c\n\r\t\x00\x1f\x7f/é😀\u2028", "\xff", "a\xffb\xed\xa0\x80"} {
		got := Quote(nil, s)
		var back string
		if err := json.Unmarshal(got, &back); err != nil || back != strings.ToValidUTF8(s, "\uFFFD") && back != string([]rune(s)) {
			t.Errorf("Quote(%q) = %s: %q, %v", s, got, back, err)
		}
	}
}

func FuzzSkip(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text), 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, i int) {
		if i < 0 || i > len(text) {
			return
		}
		end, err := Skip(text, i)
		if end < i || end > len(text) {
			t.Fatalf("Skip(%q, %d) = %d, %v", text, i, end, err)
		}
		if err == nil && end == i {
			t.Fatalf("Skip(%q, %d) makes no progress", text, i)
		}
		v := Value(text)
		v.Len()
		v.Get("a", "b")
		v.Text()
	})
}

func FuzzCompact(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(checkCompact)
}

func FuzzDecode(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(checkDecode)
}

func FuzzCanonical(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := Canonical(nil, text)
		compact, err := Compact(nil, text)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("Canonical(%q) is no JSON: %s", text, got)
		}
		for _, same := range [][]byte{got, compact, reordered(compact)} {
			if again := Canonical(nil, same); !bytes.Equal(again, got) {
				t.Fatalf("Canonical(%q) is %s\nbut that of %s is %s", text, got, same, again)
			}
		}
	})
}

// reordered writes objects without duplicate keys backwards.
func reordered(v Value) []byte {
	switch v.Kind() {
	case Array:
		var parts [][]byte
		for e := range v.Elems() {
			parts = append(parts, reordered(e))
		}
		return append(append([]byte("["), bytes.Join(parts, []byte(" ,"))...), ']')
	case Object:
		var parts [][]byte
		seen := map[string]bool{}
		for k, val := range v.Members() {
			if seen[k] {
				return v
			}
			seen[k] = true
			parts = append([][]byte{append(append(Quote(nil, k), ':'), reordered(val)...)}, parts...)
		}
		return append(append([]byte("{"), bytes.Join(parts, []byte(", "))...), '}')
	}
	return v
}

// TestKey is for members by their exact names, where Get takes either form of the name of a field.
func TestKey(t *testing.T) {
	v := Value(`{"aB":1,"a_b":2,"x":3,"x":4}`)
	for name, want := range map[string]string{"a_b": "2", "aB": "1", "x": "4", "none": ""} {
		if got := string(v.Key(name)); got != want {
			t.Errorf("member %s: %s, want %s", name, got, want)
		}
	}
}
