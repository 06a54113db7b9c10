package bench

import (
	"fmt"
	"slices"
	"strings"
)

// Part is a part of the benchmark that can be asked for alone.
type Part string

// The parts. Those with a number are rows of the table of targets.
const (
	PartSpread    Part = "P1"       // PostgreSQL, drawdowns over many cards
	PartAccounts  Part = "P1b"      // PostgreSQL, over many accounts
	PartHot       Part = "P2"       // PostgreSQL, one hot card
	PartSQLite    Part = "P3"       // SQLite, many cards and one
	PartLatency   Part = "P4"       // how even the answers come
	PartRead      Part = "P5"       // reading a card
	PartEdge      Part = "P6"       // processor time of everything but the ledger
	PartLists     Part = "P7"       // lists of very many cards
	PartHistory   Part = "P8"       // a long history, and its verification
	PartFootprint Part = "P9"       // memory and cold start
	PartLone      Part = "P10"      // a lone client
	PartMix       Part = "mix"      // what a web shop does; informative
	PartOverload  Part = "overload" // more requests than the server can take
	PartGrowth    Part = "growth"   // the same with more and more data
)

// Parts lists all parts, in the order in which they run.
func Parts() []Part { return append(TargetParts(), PartOverload, PartGrowth) }

// TargetParts lists what is measured when nothing else is asked for.
func TargetParts() []Part {
	return []Part{
		PartSpread, PartAccounts, PartHot, PartSQLite, PartLatency, PartRead, PartEdge, PartLists, PartHistory,
		PartFootprint, PartLone, PartMix,
	}
}

// ParseParts reads a list such as "P1,P2,mix", in any case; empty means TargetParts.
func ParseParts(list string) ([]Part, error) {
	if strings.TrimSpace(list) == "" {
		return TargetParts(), nil
	}
	var parts []Part
	for name := range strings.SplitSeq(list, ",") {
		known := slices.IndexFunc(Parts(), func(p Part) bool { return strings.EqualFold(string(p), strings.TrimSpace(name)) })
		if known < 0 {
			return nil, fmt.Errorf("%q is not a part; there are %s", name, joinParts(Parts()))
		}
		parts = append(parts, Parts()[known])
	}
	return parts, nil
}

func joinParts(parts []Part) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// wants tells whether any of the parts was asked for.
func (o Options) wants(parts ...Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { return slices.Contains(o.Parts, p) })
}
