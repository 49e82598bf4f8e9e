package redact

import "bytes"

// ASN.1 tags.
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagOID      = 0x06
	tagSequence = 0x30
)

// Object identifiers, encoded, of algorithms that encrypt private keys (PKCS #5, PKCS #12), and of what a PKCS #12 file holds.
var (
	oidPKCS5    = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05}
	oidPKCS12   = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01}
	oidPKCS7    = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07}
	opensshMark = []byte("openssh-key-v1\x00")
)

// leastSecret is how many bytes a number or an octet string must have to be taken for key material.
const leastSecret = 16

// findKeys calls found with each stretch of b that is a private key in DER or in OpenSSH's own form, whole or cut off.
func findKeys(b []byte, found func(from, to int)) {
	for i := 0; ; {
		n := bytes.Index(b[i:], opensshMark)
		if n < 0 {
			break
		}
		found(i+n, len(b))
		i += n + len(opensshMark)
	}
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], tagSequence)
		if n < 0 {
			return
		}
		i += n
		body, size, ok := header(b, i, tagSequence)
		if ok && size >= leastSecret && isKey(b, body) {
			end := min(body+size, len(b))
			found(i, end)
			i = end
			continue
		}
		i++
	}
}

// header reads the tag and the length at i: where the content begins and how long it is. A length that is not given (BER's
// indefinite form) counts as the rest of b.
func header(b []byte, i int, tag byte) (content, size int, ok bool) {
	if i+2 > len(b) || b[i] != tag {
		return 0, 0, false
	}
	n := int(b[i+1])
	i += 2
	switch {
	case n < 0x80:
		return i, n, true
	case n == 0x80:
		return i, len(b) - i, true
	case n > 0x84 || i+n-0x80 > len(b):
		return 0, 0, false
	}
	for n -= 0x80; n > 0; n-- {
		size = size<<8 | int(b[i])
		i++
	}
	return i, size, true
}

// isKey tells by its first members whether the sequence whose content begins at i is a private key: RSAPrivateKey and DSA's like
// (version, number, ...), ECPrivateKey (1, octets), PrivateKeyInfo (version, algorithm, octets), EncryptedPrivateKeyInfo
// (algorithm, octets) or PKCS #12 (3, content). A certificate begins otherwise.
func isKey(b []byte, i int) bool {
	if alg, size, ok := header(b, i, tagSequence); ok {
		id, n, ok := header(b, alg, tagOID)
		if !ok || id+n > len(b) {
			return false
		}
		oid := b[id : id+n]
		_, octets, ok := header(b, alg+size, tagOctets)
		return ok && octets >= leastSecret && (bytes.HasPrefix(oid, oidPKCS5) || bytes.HasPrefix(oid, oidPKCS12))
	}
	at, n, ok := header(b, i, tagInteger)
	if !ok || n != 1 || at+1 >= len(b) || b[at] > 3 {
		return false
	}
	version := b[at]
	i = at + 1
	if _, n, ok := header(b, i, tagInteger); ok {
		return version <= 1 && n >= leastSecret
	}
	if _, n, ok := header(b, i, tagOctets); ok {
		return version == 1 && n >= leastSecret
	}
	alg, size, ok := header(b, i, tagSequence)
	if !ok {
		return false
	}
	id, n, ok := header(b, alg, tagOID)
	if !ok || id+n > len(b) {
		return false
	}
	if version == 3 {
		return bytes.HasPrefix(b[id:id+n], oidPKCS7)
	}
	_, octets, ok := header(b, alg+size, tagOctets)
	return ok && octets >= leastSecret
}
