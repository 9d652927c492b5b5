package token

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTokens(t *testing.T) {
	keys, others := Derive("a"), Derive("b")
	want := Claims{"someone", 2000, []string{"read", "write"}}
	for name := range keys {
		text, err := keys.Make(name, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keys.Check(text, time.Unix(1999, 0))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		other, err := others.Make(name, want)
		if err != nil {
			t.Fatal(err)
		}
		end := strings.LastIndexByte(text, '.')
		for mistake, tc := range map[string]struct {
			text string
			now  int64
			want error
		}{
			"expired":           {text, 2000, ErrExpired},
			"other key":         {other, 0, ErrSignature},
			"no such key":       {"x" + text, 0, ErrSignature},
			"other claims":      {text[:9] + "A" + text[10:], 0, ErrSignature},
			"no signature":      {text[:end], 0, ErrForm},
			"empty signature":   {text[:end+1], 0, ErrSignature},
			"not base64":        {text + "!", 0, ErrForm},
			"one word":          {"token", 0, ErrForm},
			"empty":             {"", 0, ErrForm},
			"signature swapped": {text[:end] + other[strings.LastIndexByte(other, '.'):], 0, ErrSignature},
		} {
			if _, err := keys.Check(tc.text, time.Unix(tc.now, 0)); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: got %v, want %v", name, mistake, err, tc.want)
			}
		}
	}
	if _, err := keys.Make("rsa", want); err == nil {
		t.Error("there is a key rsa")
	}
}
