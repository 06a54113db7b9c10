package main

import (
	"net/url"

	"github.com/kortwallet/kort/pkg/apidocs"
)

// pages describe the API on the server itself.
func (s *server) pages() ([]apidocs.Page, error) {
	return apidocs.Pages(apidocs.Config{
		PublicURL: s.identity.PublicURL, TryIt: s.settings.Dev || s.settings.DocsTryIt,
	})
}

// docsURL is the address of the reference with an account and a token to try it with. They stand behind the #, which
// browsers keep to themselves.
func (s *server) docsURL(account, token string) string {
	return s.identity.PublicURL + apidocs.DocsPath + "#" + url.Values{"account": {account}, "token": {token}}.Encode()
}
