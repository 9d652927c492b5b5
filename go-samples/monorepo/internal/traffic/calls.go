package traffic

import (
	"bytes"
	"errors"
	"fmt"

	"probelab.dev/go-samples/kit/load"
	"probelab.dev/go-samples/monorepo/internal/token"
)

// keys are those that the services have when they are started without --secret.
var keys = token.Derive("demonstration")

// later is when the load's tokens expire: 2100-01-01.
const later = 4102444800

// token is of one of so many subjects, some of which are seen much more often,
// and signed by the key of a name.
func (s *source) token(subjects int, key string) string {
	c := token.Claims{Subject: fmt.Sprintf("%s-%d", s.words[0], min(s.r.IntN(subjects), s.r.IntN(subjects))), Expires: later}
	for i := range s.r.IntN(4) {
		c.Scopes = append(c.Scopes, s.words[i])
	}
	text, err := keys.Make(key, c)
	if err != nil {
		panic(err) // keys are named here, not by users
	}
	return text
}

// key is ed25519 in so many of a hundred cases.
func (s *source) key(percent int) string {
	if s.chance(percent) {
		return "ed25519"
	}
	return "hmac"
}

// gateway: nested documents, with secrets here and there.
func (s *source) gateway() load.Request {
	body := object(nil, func(b []byte) []byte { return s.nested(b, either(s, 4, 5), either(s, 6_000, 12_000)) })
	return load.Request{Path: "/forward", Body: body, Bearer: s.token(either(s, 200, 500), s.key(either(s, 0, 25))), Check: forwarded}
}

func forwarded(reply []byte) error {
	if !bytes.HasPrefix(reply, []byte(`{"server":`)) {
		return errors.New("the answer does not name a server")
	}
	return nil
}

// signer: tokens are checked more often than made.
func (s *source) signer() load.Request {
	if s.chance(either(s, 30, 15)) {
		body := fmt.Appendf(nil, `{"sub":%q,"seconds":%d,"scopes":[%q,%q]}`, s.word(), s.between(60, 86_400), s.word(), s.word())
		return load.Request{Path: "/sign?key=" + s.key(50), Body: body, Check: filled}
	}
	return load.Request{Path: "/verify", Body: []byte(s.token(either(s, 10_000, 30_000), s.key(either(s, 50, 30)))), Check: filled}
}

// router: ways through the default town, longer ones in the test.
func (s *source) router() load.Request {
	place := func() (float64, float64) { return 52.30 + s.r.Float64()*0.295, 13.10 + s.r.Float64()*0.295 }
	lat, lon := place()
	lat2, lon2 := place()
	if !s.test { // half of the way is enough
		lat2, lon2 = (lat+lat2)/2, (lon+lon2)/2
	}
	by := "quickest"
	if s.chance(either(s, 15, 40)) {
		by = "shortest"
	}
	return load.Request{Path: fmt.Sprintf("/route?from=%.5f,%.5f&to=%.5f,%.5f&by=%s", lat, lon, lat2, lon2, by), Check: filled}
}

// cached: some keys are asked for much more often than others, and more keys
// are in use than there is room for.
func (s *source) cached() load.Request {
	var b []byte
	keys := either(s, 60_000, 120_000)
	key := func() int { return int(float64(keys) * s.r.Float64() * s.r.Float64() * s.r.Float64()) }
	for range s.between(either(s, 100, 50), either(s, 400, 300)) {
		if s.chance(either(s, 25, 40)) {
			b = fmt.Appendf(b, "set %s:%d %s\n", s.words[0], key(), s.phrase(2, either(s, 10, 25)))
		} else {
			b = fmt.Appendf(b, "get %s:%d\n", s.words[0], key())
		}
	}
	return load.Request{Path: "/batch", Body: b, Check: filled}
}
