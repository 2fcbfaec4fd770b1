package main

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const sweptLine = "hourseal/swept-hour@v1"

// anyProof is a proof of a receipt, or of an hour that went in a sweep: its leaf and path, and then the proof of the sweep's receipt.
type anyProof struct {
	proof
	leaf  []byte
	place int64
	rest  tlog.RecordProof
}

func (p *anyProof) parse(text string) {
	if !strings.HasPrefix(text, sweptLine+"\n") || len(text) > mostBytes {
		p.proof.parse(text)
		return
	}
	head, receipt, found := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	if p.need(found && len(lines) >= 3 && len(lines) <= 3+mostPath); p.bad {
		return
	}
	leaf, hasLeaf := strings.CutPrefix(lines[1], "leaf ")
	index, hasIndex := strings.CutPrefix(lines[2], "index ")
	p.need(hasLeaf && hasIndex && leaf != "")
	p.leaf, p.place = p.base64(leaf), p.number(index)
	for _, line := range lines[3:] {
		p.rest = append(p.rest, p.hash(line))
	}
	p.proof.parse(receipt)
}

// verify adds a sixth step, swept: the hour leads to the root in the receipt.
func (p *anyProof) verify(key note.Verifier) string {
	if step := p.proof.verify(key); step != "" || p.leaf == nil {
		return step
	}
	var receipt struct {
		Swept struct {
			Hours int64
			Root  string
		}
	}
	err := json.Unmarshal(p.receipt, &receipt)
	root, notHex := hex.DecodeString(receipt.Swept.Root)
	if err != nil || notHex != nil || len(root) != tlog.HashSize {
		return "swept"
	}
	if tlog.CheckRecord(p.rest, receipt.Swept.Hours, tlog.Hash(root), p.place, tlog.RecordHash(p.leaf)) != nil {
		return "swept"
	}
	return ""
}
