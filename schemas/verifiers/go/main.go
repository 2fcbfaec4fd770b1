// Verifies proofs of Hourseal's receipts (schemas/receipt-log.md) with the packages that verify Go's own checksum database.
// Usage: verifier VKEY FILE..., where `-` reads the base64 of one proof from each line of stdin.
// Prints `NAME: ok INDEX of SIZE` or `NAME: refused STEP`; exits 65 if one is refused. VKEY comes from the log's operator.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const mostBytes, mostNote, mostSignatures, mostPath = 16 << 20, 64 << 10, 64, 63

type proof struct {
	receipt      []byte
	index, size  int64
	path         tlog.RecordProof
	note, origin string
	root         tlog.Hash
	bad          bool // something is not in its one form
}

func (p *proof) need(holds bool) { p.bad = p.bad || !holds }

// base64 looks at what the library ignores: newlines and stray bits.
func (p *proof) base64(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	p.need(err == nil && base64.StdEncoding.EncodeToString(data) == text)
	return data
}

func (p *proof) hash(text string) (hash tlog.Hash) {
	data := p.base64(text)
	p.need(len(data) == tlog.HashSize)
	copy(hash[:], data)
	return hash
}

func (p *proof) number(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	p.need(err == nil && number >= 0 && strconv.FormatInt(number, 10) == text)
	return number
}

func (p *proof) parse(text string) {
	head, checkpoint, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if p.need(found && len(text) <= mostBytes && len(lines) >= 3 && len(lines) <= 3+mostPath); p.bad {
		return
	}
	extra, hasExtra := strings.CutPrefix(lines[1], "extra ")
	index, hasIndex := strings.CutPrefix(lines[2], "index ")
	p.need(lines[0] == "c2sp.org/tlog-proof@v1" && hasExtra && hasIndex && extra != "")
	p.receipt, p.index, p.note = p.base64(extra), p.number(index), checkpoint
	for _, line := range lines[3:] {
		p.path = append(p.path, p.hash(line))
	}
	p.parseCheckpoint()
}

// parseCheckpoint looks at what note.Open leaves open: one form and one place for each signature, and the text's lines.
func (p *proof) parseCheckpoint() {
	at := strings.LastIndex(p.note, "\n\n")
	if p.need(at >= 0 && len(p.note) <= mostNote && strings.HasSuffix(p.note, "\n")); p.bad {
		return
	}
	seen := map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSuffix(p.note[at+2:], "\n"), "\n") {
		fields := strings.Split(line, " ")
		if p.need(len(fields) == 3); p.bad {
			return
		}
		if data := p.base64(fields[2]); len(data) > 4 {
			seen[fields[1]+" "+string(data[:4])] = true
		}
	}
	p.need(len(seen) == strings.Count(p.note[at+2:], "\n") && len(seen) <= mostSignatures)
	lines := strings.Split(p.note[:at], "\n")
	if p.need(len(lines) >= 3 && lines[0] != "" && !strings.Contains(p.note[:at+1], "\n\n")); !p.bad {
		p.origin, p.size, p.root = lines[0], p.number(lines[1]), p.hash(lines[2])
	}
}

// verify returns the step that fails, or nothing.
func (p *proof) verify(key note.Verifier) string {
	if p.bad {
		return "form"
	}
	switch _, err := note.Open([]byte(p.note), note.VerifierList(key)); err.(type) {
	case nil:
	case *note.UnverifiedNoteError:
		return "key"
	case *note.InvalidSignatureError:
		return "signature"
	default:
		return "form"
	}
	if p.origin != key.Name() {
		return "origin"
	}
	if tlog.CheckRecord(p.path, p.size, p.root, p.index, tlog.RecordHash(p.receipt)) != nil {
		return "inclusion"
	}
	return ""
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: verifier VKEY FILE...")
	}
	key, err := note.NewVerifier(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	out, exit := bufio.NewWriter(os.Stdout), 0
	for _, name := range os.Args[2:] {
		lines := name == "-"
		data, err := os.ReadFile(map[bool]string{true: "/dev/stdin", false: name}[lines])
		if err != nil {
			log.Fatal(err)
		}
		texts := []string{string(data)}
		if lines {
			texts = strings.Split(strings.TrimSuffix(texts[0], "\n"), "\n")
		}
		for number, text := range texts {
			if lines {
				decoded, _ := base64.StdEncoding.DecodeString(text)
				name, text = strconv.Itoa(number+1), string(decoded)
			}
			var p anyProof
			p.parse(text)
			if step := p.verify(key); step != "" {
				exit = 65
				fmt.Fprintf(out, "%s: refused %s\n", name, step)
			} else {
				fmt.Fprintf(out, "%s: ok %d of %d\n", name, p.index, p.size)
			}
		}
	}
	out.Flush()
	os.Exit(exit)
}
