package load

import (
	"reflect"
	"testing"

	"probelab.dev/go-samples/eventstore/internal/event"
	"probelab.dev/go-samples/eventstore/internal/ingest"
)

// In both formats a stream is the same events.
func TestProtoHoldsTheSameEvents(t *testing.T) {
	for _, m := range []Mix{Train, Test} {
		for k := range 30 {
			plain := Stream{m, 5, 30}.Request(k)
			other := plain.proto()
			if plain.Events == 0 {
				if !reflect.DeepEqual(plain, other) {
					t.Errorf("the query %+v became %+v", plain, other)
				}
				continue
			}
			want, err := ingest.ParseBody(event.NewJSON(), plain.Body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ingest.ParseBatch(event.NewProto(), other.Body)
			if err != nil || len(got) != len(want) || other.Path != "/ingest/proto" {
				t.Fatalf("%s: %d events, want %d (%v)", other.Path, len(got), len(want), err)
			}
			for i := range want {
				if !reflect.DeepEqual(got[i].Event, want[i].Event) {
					t.Fatalf("event %d: %+v, want %+v", i, got[i].Event, want[i].Event)
				}
			}
		}
	}
}
