package hooks

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// maxURL bounds the URL of a subscription, in bytes.
const maxURL = 2048

// Targets says where events may be sent to, besides public hosts over TLS.
type Targets struct {
	// HTTP allows plain http.
	HTTP bool
	// Private allows addresses that are not public: of this machine, of its network, and
	// reserved ones.
	Private bool
}

// errNotPublic means that a connection was about to be made to an address that is not
// public.
var errNotPublic = errors.New("the address is not public")

// Check says what is wrong with the URL of a subscription, or returns nothing. It does
// not resolve names: what a name means is looked at when a connection is made.
func (t Targets) Check(raw string) string {
	parsed, err := url.Parse(raw)
	switch {
	case len(raw) > maxURL:
		return "must have at most " + strconv.Itoa(maxURL) + " characters"
	case err != nil || parsed.Opaque != "" || parsed.Host == "" || strings.ContainsFunc(raw, notPrintable):
		return "must be an absolute URL"
	case parsed.Scheme != "https" && (!t.HTTP || parsed.Scheme != "http"):
		return "must begin with https://"
	case parsed.User != nil:
		return "must not have a user or a password"
	case parsed.Fragment != "" || strings.Contains(raw, "#"):
		return "must not have a fragment"
	case parsed.Port() != "" && !isPort(parsed.Port()), strings.HasSuffix(parsed.Host, ":"):
		return "must not have a port outside 1 to 65535"
	}
	return t.checkHost(parsed.Hostname())
}

func (t Targets) checkHost(host string) string {
	const public = "must be on a public host"
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" || !t.Private && !isPublic(address) {
			return public
		}
		return ""
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	switch {
	case last == "" || looksLikeNumber(last): // 2130706433 and 127.1 are addresses to some resolvers
		return "must have a host name, or an address in its usual form"
	case t.Private:
		return ""
	case len(labels) == 1, last == "localhost", last == "local", last == "internal", strings.HasSuffix(host, ".home.arpa"):
		return public
	}
	return ""
}

// dial refuses a connection to an address that is not public. It sees the address
// itself: what a name meant when somebody looked before does not count.
func (t Targets) dial(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !t.Private && !isPublic(to.Addr()) {
		return errNotPublic
	}
	return nil
}

func notPrintable(r rune) bool { return r <= ' ' || r >= 0x7f }

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func looksLikeNumber(label string) bool {
	hex, isHex := strings.CutPrefix(label, "0x")
	if isHex && strings.Trim(hex, "0123456789abcdef") == "" {
		return true
	}
	return strings.Trim(label, "0123456789") == ""
}

// reserved are the addresses of the IANA registries of special purposes that no public
// host has, and those that stand for an address of the other kind.
var reserved = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// isPublic tells whether an address can be that of a public host.
func isPublic(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, prefix := range reserved {
		if prefix.Contains(address) {
			return false
		}
	}
	return address.IsValid()
}
