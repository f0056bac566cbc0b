// SPDX-License-Identifier: AGPL-3.0-only
// BaseUrl: the coordinator's configured address, parsed once (wire protocol 1.1, 2.3). Immutable;
// safe from any thread.
#ifndef AUSPEX_COMMON_WIRE_BASE_URL_H_
#define AUSPEX_COMMON_WIRE_BASE_URL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/wire/plain_http.h"

namespace auspex {

class BaseUrl {
 public:
  // Takes "http://host[:port][/prefix]" or "https://...". Trailing slashes are dropped, the host is
  // lower-cased, a prefix is kept. INVALID_ARGUMENT names what is wrong: user information, a query,
  // a fragment, a host outside ASCII letters, digits, '-', '.', or an IPv6 address in brackets (no
  // zone), a port outside 1..65535, a prefix with percent-escapes or other characters that are not
  // unreserved, empty or dot segments, more than 2048 characters, and plain http to anything but
  // loopback (127.0.0.0/8, [::1], localhost).
  static absl::StatusOr<BaseUrl> Parse(std::string_view untrusted_text);
  // The same without the rule about plain http.
  static absl::StatusOr<BaseUrl> Parse(std::string_view untrusted_text, AllowPlainHttpAnywhere);

  bool https() const { return https_; }
  // Without brackets for IPv6.
  const std::string& host() const { return host_; }
  uint16_t port() const { return port_; }
  // What goes into Host and @authority: lower case, the port only when it is not the scheme's
  // default.
  const std::string& authority() const { return authority_; }
  // "" or "/prefix", without a slash at the end.
  const std::string& prefix() const { return prefix_; }
  // "https://authority/prefix": the normalised whole.
  std::string str() const;
  // The request target of a route (routes.h): the prefix and then `route_path`, which begins with a
  // slash. This is what is sent and what @path is.
  std::string TargetOf(std::string_view route_path) const;
  // The scheme and authority joined with an absolute `path` that already contains the prefix.
  std::string UrlOf(std::string_view path) const;

 private:
  BaseUrl() = default;
  bool https_ = true;
  std::string host_, authority_, prefix_;
  uint16_t port_ = 443;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_WIRE_BASE_URL_H_
