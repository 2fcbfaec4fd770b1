// Package hourseal opens sealed records as schemas/envelope.md says. Copy this file: it needs golang.org/x/crypto
// and nothing else. SlotOf says whose key a record asks for, so that the key store can be asked; Open gives what was sealed.
//
// Every error is a Refusal, and no bytes of a record cause a panic. A nil slice is null, which an empty one is not.
package hourseal // SPDX-License-Identifier: MIT OR Apache-2.0

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"unicode/utf8"

	"golang.org/x/crypto/chacha20poly1305"
)

// Refusal says why there is no event, or no DEK, by its name in the specification.
type Refusal string

const (
	NotAnEnvelope  Refusal = "not-an-envelope"
	UnknownSuite   Refusal = "unknown-suite"
	WrongKey       Refusal = "wrong-key"
	Tampered       Refusal = "tampered"
	UnknownVersion Refusal = "unknown-version" // of a wrapped DEK
	Unauthentic    Refusal = "unauthentic"     // a wrapped DEK

	magic, suite, version           = 0xE9, 0x01, 0x01
	header, shortest, wrapped       = 48, 68, 74
	hasKey, hasHeaders, nullPayload = 1 << 0, 1 << 1, 1 << 2
	nullValue, hourMillis           = 0xFFFFFFFF, 3_600_000
)

func (r Refusal) Error() string { return string(r) }

// Header is one of a record's or an event's.
type Header struct{ Name, Value []byte }

// Record is one of the output topic, as it was consumed.
type Record struct {
	Key, Value []byte
	Headers    []Header
}

// Slot is what has one DEK. A claim, until the record has opened.
type Slot struct {
	Customer   string
	Hour       uint32
	Generation uint16
}

// Event is what was sealed. It happened Hour × 3,600,000 + Milliseconds after 1970-01-01T00:00Z.
type Event struct {
	Slot
	Milliseconds uint32
	Key, Payload []byte
	Headers      []Header
}

// SlotOf takes steps 1 and 2: the slot whose DEK and commitment the key store has to give.
func SlotOf(r Record) (Slot, error) { return slotOf(customerOf(r), r.Value) }

// Open takes steps 1 to 5, with the DEK and the commitment that the key store has for the record's slot.
func Open(r Record, stream string, dek, commitment []byte) (*Event, error) {
	return OpenEnvelope(r.Value, customerOf(r), stream, dek, commitment)
}

// OpenEnvelope is Open for who knows the customer otherwise.
func OpenEnvelope(envelope []byte, customer, stream string, dek, commitment []byte) (*Event, error) {
	slot, err := slotOf(customer, envelope)
	if err != nil {
		return nil, err
	}
	sealKey, ok := derive(dek, slot, commitment, envelope[8:24])
	if !ok {
		return nil, WrongKey
	}
	aad := sized(sized(envelope[:header:header], customer), stream)
	if frame := decrypt(sealKey, envelope[24:], aad); frame != nil {
		return parse(frame, slot)
	}
	return nil, Tampered
}

// UnwrapDEK gives the DEK of a slot, out of the key store's row.
func UnwrapDEK(row, kek []byte, kekID string, slot Slot, commitment []byte) ([]byte, error) {
	switch {
	case len(row) < 1 || row[0] != version:
		return nil, UnknownVersion
	case len(row) < 2 || row[1] != suite:
		return nil, UnknownSuite
	case len(row) != wrapped:
		return nil, Unauthentic
	}
	aad := append(place([]byte("hourseal/1 wrap"), slot), commitment...)
	dek := decrypt(expand(kek, sized([]byte("hourseal/1 wrap"), kekID), 32), row[2:], aad)
	if dek == nil {
		return nil, Unauthentic
	}
	if _, ok := derive(dek, slot, commitment, nil); !ok {
		return nil, WrongKey
	}
	return dek, nil
}

// customerOf takes step 1, but for the form of the id: an empty one is refused there.
func customerOf(r Record) string {
	customer, named := r.Key, 0
	for _, h := range r.Headers {
		if string(h.Name) == "hourseal-customer" {
			customer, named = h.Value, named+1
		}
	}
	if named > 1 {
		return ""
	}
	return string(customer)
}

// slotOf takes the rest of step 1, and step 2.
func slotOf(customer string, value []byte) (Slot, error) {
	switch n := len(customer); {
	case n < 1 || n > 256 || customer[0] == '~' && customer != "~quarantine" || !utf8.ValidString(customer):
		return Slot{}, NotAnEnvelope
	case len(value) < 2 || value[0] != magic:
		return Slot{}, NotAnEnvelope
	case value[1] != suite:
		return Slot{}, UnknownSuite
	case len(value) < shortest:
		return Slot{}, NotAnEnvelope
	}
	return Slot{customer, binary.BigEndian.Uint32(value[4:]), binary.BigEndian.Uint16(value[2:])}, nil
}

// derive takes step 3: the seal key, and whether the DEK is the one that commitment and key_id, if there is one, stand for.
func derive(dek []byte, slot Slot, commitment, keyID []byte) ([]byte, bool) {
	okm := expand(dek, place([]byte("hourseal/1 dek\x01"), slot), 64)
	same := subtle.ConstantTimeCompare(okm[32:], commitment) & subtle.ConstantTimeCompare(okm[32:32+len(keyID)], keyID)
	return okm[:32], same == 1
}

// decrypt takes step 4, of nonce ‖ ciphertext ‖ tag; nil if it is not authentic.
func decrypt(key, sealed, aad []byte) []byte {
	aead, _ := chacha20poly1305.NewX(key) // fails for keys that are not of 32 bytes only
	plain, _ := aead.Open(nil, sealed[:24], sealed[24:], aad)
	return plain
}

// parse takes step 5. Once a length went beyond the end, all that take gives is empty.
func parse(frame []byte, slot Slot) (*Event, error) {
	rest, ok := frame, true
	take := func(length uint32) (taken []byte) {
		if ok = ok && uint64(length) <= uint64(len(rest)); ok {
			taken, rest = rest[:length:length], rest[length:]
		}
		return taken
	}
	number := func(width uint32) (n uint32) {
		for _, b := range take(width) {
			n = n<<8 | uint32(b)
		}
		return n
	}
	flags, event := number(1), &Event{Slot: slot, Milliseconds: number(3)}
	if flags&hasKey != 0 {
		event.Key = take(number(4))
	}
	if flags&hasHeaders != 0 {
		count := number(2)
		for ok = ok && count > 0; ok && count > 0; count-- {
			h := Header{Name: take(number(2))}
			if length := number(4); length != nullValue {
				h.Value = take(length)
			}
			event.Headers = append(event.Headers, h)
		}
	}
	if flags&nullPayload == 0 {
		event.Payload, rest = rest, nil
	}
	if !ok || flags > 0b111 || len(rest) > 0 || event.Milliseconds >= hourMillis {
		return nil, Tampered
	}
	return event, nil
}

func sized(to []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(s))), s...)
}

func place(to []byte, slot Slot) []byte {
	to = binary.BigEndian.AppendUint32(sized(to, slot.Customer), slot.Hour)
	return binary.BigEndian.AppendUint16(to, slot.Generation)
}

func expand(ikm, info []byte, length int) []byte {
	okm, _ := hkdf.Key(sha256.New, ikm, nil, string(info), length) // fails beyond 8,160 bytes only
	return okm
}
