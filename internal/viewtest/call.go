package viewtest

import (
	"reflect"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/pattern"
)

// Call calls every exported method of v, and of everything those methods return, with a time or a pattern where one is wanted. It
// panics if one of them does. How often it goes into what it got is bounded.
func Call(v any) {
	budget := 2000
	call(reflect.ValueOf(v), &budget, 0)
}

var arguments = func() map[reflect.Type][]reflect.Value {
	reviews, _ := pattern.Parse("reviews")
	glob, _ := pattern.Parse("*r?v*")
	return map[reflect.Type][]reflect.Value{
		reflect.TypeFor[time.Time]():       {reflect.ValueOf(time.Unix(1_800_000_000, 0))},
		reflect.TypeFor[pattern.Pattern](): {reflect.ValueOf(reviews), reflect.ValueOf(glob)},
		reflect.TypeFor[string]():          {reflect.ValueOf("10.0.0.1")},
	}
}()

func call(v reflect.Value, budget *int, depth int) {
	if *budget--; *budget < 0 || depth > 12 || !v.IsValid() {
		return
	}
	if strings.HasPrefix(v.Type().PkgPath(), "github.com/meshlark/meshlark/xds/") && v.Type().Name() != "Value" {
		for i := range v.NumMethod() {
			m := v.Method(i)
			switch m.Type().NumIn() {
			case 0:
				results(m.Call(nil), budget, depth)
			case 1:
				for _, arg := range arguments[m.Type().In(0)] {
					results(m.Call([]reflect.Value{arg}), budget, depth)
				}
			}
		}
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			call(v.Index(i), budget, depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				call(v.Field(i), budget, depth+1)
			}
		}
	}
}

func results(values []reflect.Value, budget *int, depth int) {
	for _, v := range values {
		call(v, budget, depth+1)
	}
}
