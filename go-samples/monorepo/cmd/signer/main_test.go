package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"probelab.dev/go-samples/monorepo/internal/routetest"
	"probelab.dev/go-samples/monorepo/internal/token"
)

func TestSignedIsVerified(t *testing.T) {
	s := routetest.WithFlags(t, flags, "--secret", "s")
	for _, key := range []string{"hmac", "ed25519"} {
		var got struct{ Token string }
		reply := s.Want("/sign?key="+key, `{"sub":"ada","seconds":60,"scopes":["x"]}`, 200, "token")
		if err := json.Unmarshal([]byte(reply), &got); err != nil {
			t.Fatal(err)
		}
		for range 2 { // checked, then remembered
			s.Want("/verify", got.Token, 200, `"sub":"ada"`)
		}
		s.Want("/verify", got.Token+"x", 401, "error")
	}
	old, err := token.Derive("s").Make("hmac", token.Claims{Subject: "a", Expires: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Want("/verify", old, 401, "expired")
}

func TestMistakes(t *testing.T) {
	s := routetest.WithFlags(t, flags)
	s.Want("/sign?key=rsa", `{"sub":"a","seconds":1}`, 400, "there is no key")
	s.Want("/sign", `{"sub":"","seconds":1}`, 400, "sub must have")
	s.Want("/sign", `{"sub":"a","age":1}`, 400, "unknown field")
	s.Want("/verify", "token", 401, "a token is NAME.CLAIMS.SIGNATURE")
	for _, seconds := range []int64{0, -1, maxLife + 1, 1 << 62} {
		s.Want("/sign", fmt.Sprintf(`{"sub":"a","seconds":%d}`, seconds), 400, "it must be 1 to 2592000")
	}
}
