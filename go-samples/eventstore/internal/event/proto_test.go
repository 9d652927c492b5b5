package event

import (
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var protoSamples = []Event{
	{"a1", "acme", "click", 1700000000000, -7, []Attr{{"größe", "w"}, {"k", "v"}}},
	{"i", "t", "k", 0, 1<<63 - 1, nil},
	{"i", "t", "k", maxAt, -1 << 63, []Attr{{"a", strings.Repeat("x", MaxAttrValue)}}},
}

func TestProtoRoundTrip(t *testing.T) {
	for _, d := range []Decoder{NewProto(), NewStored()} {
		for _, want := range protoSamples {
			src := AppendProto(nil, &want)
			var got Event
			n, err := d.Decode(append(src, "rest"...), &got)
			if err != nil || n != len(src) || !reflect.DeepEqual(got, want) {
				t.Errorf("%T: %+v, %d of %d bytes, %v\nwant %+v", d, got, n, len(src), err, want)
			}
		}
	}
}

// batchType is event.proto, as Google's library knows a schema.
func batchType(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	type field = descriptorpb.FieldDescriptorProto
	one := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *field {
		return &field{Name: &name, Number: &number, Type: &kind, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	}
	many := func(f *field, of string) *field {
		f.Label, f.TypeName = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum(), &of
		return f
	}
	const text, message = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("event.proto"), Package: proto.String("p"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Batch"), Field: []*field{many(one("events", 2, message), ".p.Event")}},
			{Name: proto.String("Event"), Field: []*field{
				one("id", 1, text), one("tenant", 2, text), one("kind", 3, text),
				one("at", 4, descriptorpb.FieldDescriptorProto_TYPE_INT64),
				one("value", 5, descriptorpb.FieldDescriptorProto_TYPE_SINT64),
				many(one("attrs", 6, message), ".p.Event.AttrsEntry"),
			}, NestedType: []*descriptorpb.DescriptorProto{{
				Name: proto.String("AttrsEntry"), Field: []*field{one("key", 1, text), one("value", 2, text)},
				Options: &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)},
			}}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Messages().ByName("Batch")
}

// What Google's library writes is what we read, and the other way round.
func TestProtoAgreesWithTheLibrary(t *testing.T) {
	batch := dynamicpb.NewMessage(batchType(t))
	var src []byte
	for i := range protoSamples {
		src = AppendProto(src, &protoSamples[i])
	}
	if err := proto.Unmarshal(src, batch); err != nil {
		t.Fatal(err)
	}
	if len(batch.GetUnknown()) != 0 {
		t.Error("we write fields that the schema has not")
	}
	again, err := proto.MarshalOptions{Deterministic: true}.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	d := NewProto()
	for i, want := range protoSamples {
		var got Event
		n, err := d.Decode(again, &got)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("event %d: %+v, %v\nwant %+v", i, got, err, want)
		}
		again = again[n:]
	}
}

func TestProtoMistakes(t *testing.T) {
	good := Event{"i", "t", "k", 1, 1, nil}
	with := func(change func(ev *Event)) []byte {
		ev := good
		change(&ev)
		return AppendProto(nil, &ev)
	}
	wrap := func(message ...byte) []byte { return protowire.AppendBytes([]byte{protoTag}, message) }
	many := func(ev *Event) {
		for i := range MaxAttrs + 1 {
			ev.Attrs = append(ev.Attrs, Attr{strings.Repeat("k", i+1), "v"})
		}
	}
	for want, src := range map[string][]byte{
		"a batch holds events":         {0x0a, 0},
		"as field 2":                   {},
		"the message can't be read":    {protoTag, 5, 1},
		"can't be read: unexpected":    wrap(0x0a, 3, 'x'),
		"field 1 is not of the type":   wrap(0x08, 1),
		"field 4 is not of the type":   wrap(0x22, 1, 'x'),
		`field "tenant" is missing`:    wrap(0x0a, 1, 'i', 0x1a, 1, 'k'),
		"at must be milliseconds":      with(func(ev *Event) { ev.At = maxAt + 1 }),
		"at most 32 attrs":             with(many),
		`attribute "a" is given twice`: with(func(ev *Event) { ev.Attrs = []Attr{{"a", "1"}, {"a", "2"}} }),
		"an attribute must have 1 to":  with(func(ev *Event) { ev.Attrs = []Attr{{"a", ""}} }),
		"id must have 1 to 128 bytes":  with(func(ev *Event) { ev.ID = strings.Repeat("i", 129) }),
		"kind is not valid UTF-8":      with(func(ev *Event) { ev.Kind = "\xff" }),
		"an event may have at most":    wrap(make([]byte, MaxLine+1)...),
	} {
		var ev Event
		if _, err := NewProto().Decode(src, &ev); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
	// Fields of a later schema do no harm.
	src := wrap(append(AppendProto(nil, &good)[2:], 0x7a, 1, 'x', 0x78, 1)...)
	var ev Event
	if _, err := NewProto().Decode(src, &ev); err != nil || !reflect.DeepEqual(ev, good) {
		t.Errorf("%+v %v", ev, err)
	}
}
