// Vectors of tests/vectors/envelope on stdin, one a line; how each of them ended on stdout.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"log"
	"os"

	hourseal "hourseal/schemas/readers/go"
)

// bytes are hex in JSON, and null where they are nil.
type bytes []byte

func (b *bytes) UnmarshalText(text []byte) (err error) {
	*b = make([]byte, hex.DecodedLen(len(text)))
	_, err = hex.Decode(*b, text)
	return err
}

func (b bytes) MarshalJSON() ([]byte, error) {
	if b == nil {
		return []byte("null"), nil
	}
	return json.Marshal(hex.EncodeToString(b))
}

type vector struct {
	Customer, Stream string
	Dek, Commitment  bytes
	Envelope         *bytes
	RecordKey        bytes      `json:"record_key"`
	RecordHeaders    [][2]bytes `json:"record_headers"`
	RecordValue      bytes      `json:"record_value"`
	Kek, Wrapped     bytes
	KekID            string `json:"kek_id"`
	Hour             uint32
	Generation       uint16
}

type opened struct {
	Expect       string     `json:"expect"`
	Hour         uint32     `json:"hour"`
	Generation   uint16     `json:"generation"`
	Milliseconds uint32     `json:"milliseconds"`
	Key          bytes      `json:"key"`
	Headers      [][2]bytes `json:"headers"`
	Payload      bytes      `json:"payload"`
}

func answer(v vector) any {
	if v.Wrapped != nil {
		slot := hourseal.Slot{Customer: v.Customer, Hour: v.Hour, Generation: v.Generation}
		dek, err := hourseal.UnwrapDEK(v.Wrapped, v.Kek, v.KekID, slot, v.Commitment)
		if err != nil {
			return refused(err)
		}
		return map[string]any{"expect": "unwrapped", "dek": bytes(dek)}
	}
	event, err := open(v)
	if err != nil {
		return refused(err)
	}
	headers := make([][2]bytes, len(event.Headers))
	for i, h := range event.Headers {
		headers[i] = [2]bytes{h.Name, h.Value}
	}
	return opened{"opened", event.Hour, event.Generation, event.Milliseconds, event.Key, headers, event.Payload}
}

func open(v vector) (*hourseal.Event, error) {
	if v.Envelope != nil {
		return hourseal.OpenEnvelope(*v.Envelope, v.Customer, v.Stream, v.Dek, v.Commitment)
	}
	record := hourseal.Record{Key: v.RecordKey, Value: v.RecordValue}
	for _, h := range v.RecordHeaders {
		record.Headers = append(record.Headers, hourseal.Header{Name: h[0], Value: h[1]})
	}
	return hourseal.Open(record, v.Stream, v.Dek, v.Commitment)
}

func refused(err error) any { return map[string]any{"expect": string(err.(hourseal.Refusal))} }

func main() {
	out := bufio.NewWriter(os.Stdout)
	in, lines := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(out)
	for {
		var v vector
		if err := in.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			log.Fatal(err)
		}
		if err := lines.Encode(answer(v)); err != nil {
			log.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
