import assert from "node:assert/strict";
import { test } from "node:test";
import { debianMirrors } from "./apt-sources.mjs";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

test("the mirror is read from the one-line format, options and comments included", () => {
  const text = `# deb http://commented.test/debian stable main
deb-src http://sources.test/debian stable main
deb [arch=amd64 signed-by=/etc/keys/own.gpg] https://mirror.test/debian bookworm main contrib # ours
deb http://other.test/debian/ trixie-updates main`;
  assert.deepEqual(debianMirrors([{ path: "/etc/apt/sources.list", text }]), [
    { uri: "https://mirror.test/debian", keyring: "/etc/keys/own.gpg" },
    { uri: "http://other.test/debian/", keyring: KEYRING },
  ]);
});

test("the mirror is read from the deb822 format, folded fields and embedded keys included", () => {
  const text = `Types: deb deb-src
# a comment inside
URIs: https://first.test/debian
 https://second.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: https://disabled.test/debian
Suites: stable
Components: main
`;
  assert.deepEqual(debianMirrors([{ path: "debian.sources", text }]), [
    { uri: "https://first.test/debian", keyring: KEYRING },
    { uri: "https://second.test/debian", keyring: KEYRING },
  ]);
});

test("security archives and third-party repositories are not taken for the Debian mirror", () => {
  const text = `deb http://security.test/debian-security bookworm-security main
deb https://packages.test/apt cloud-sdk-bookworm main
deb http://ubuntu.test/ubuntu noble main universe`;
  assert.deepEqual(debianMirrors([{ path: "third.list", text }]), []);
});
