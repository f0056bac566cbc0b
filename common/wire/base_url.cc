// SPDX-License-Identifier: AGPL-3.0-only
#include "common/wire/base_url.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"

namespace auspex {
namespace {

constexpr size_t kMaxLength = 2048;
constexpr size_t kMaxHost = 253;

struct Parts {
  bool https = true;
  bool ipv6 = false;
  std::string host;
  uint16_t port = 0;
  std::string prefix;
};

absl::Status Refuse(std::string_view why, std::string_view url) {
  return absl::InvalidArgumentError(Cat("base URL: ", why, ": '", Printable(url), "'"));
}

bool IsAlnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// A dotted quad in the one form that every resolver reads alike.
bool ReadIpv4(const std::string& host, std::array<uint8_t, 4>& octets) {
  return inet_pton(AF_INET, host.c_str(), octets.data()) == 1;
}

absl::Status CheckHost(std::string_view url, Parts& parts) {
  if (parts.host.empty()) return Refuse("the host is missing", url);
  if (parts.host.size() > kMaxHost) return Refuse("the host is too long", url);
  if (parts.ipv6) {
    in6_addr address;
    if (inet_pton(AF_INET6, parts.host.c_str(), &address) != 1) {
      return Refuse("the brackets hold no IPv6 address", url);
    }
    return absl::OkStatus();
  }
  if (!std::all_of(parts.host.begin(), parts.host.end(),
                   [](char c) { return IsAlnum(c) || c == '-' || c == '.'; })) {
    return Refuse("the host has a character that is not allowed", url);
  }
  if (parts.host.front() == '.' || parts.host.front() == '-' ||
      parts.host.find("..") != std::string::npos) {
    return Refuse("the host is malformed", url);
  }
  // "127.1", "0x7f.1" and "2130706433" are addresses to some resolvers and names to others.
  const size_t dot = parts.host.find_last_of('.');
  const std::string last = parts.host.substr(dot == std::string::npos ? 0 : dot + 1);
  std::array<uint8_t, 4> octets;
  if (!last.empty() && last[0] >= '0' && last[0] <= '9' && !ReadIpv4(parts.host, octets)) {
    return Refuse("the host is neither a name nor an address of four numbers", url);
  }
  return absl::OkStatus();
}

bool IsLoopback(const Parts& parts) {
  if (parts.ipv6) {
    in6_addr address;
    return inet_pton(AF_INET6, parts.host.c_str(), &address) == 1 && IN6_IS_ADDR_LOOPBACK(&address);
  }
  std::array<uint8_t, 4> octets;
  if (ReadIpv4(parts.host, octets)) return octets[0] == 127;
  return parts.host == "localhost";
}

absl::Status ReadPort(std::string_view url, std::string_view digits, Parts& parts) {
  uint32_t port = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || digits.size() > 5 || read.ec != std::errc() ||
      read.ptr != digits.data() + digits.size() || port < 1 || port > 65535) {
    return Refuse("the port is not a number from 1 to 65535", url);
  }
  parts.port = static_cast<uint16_t>(port);
  return absl::OkStatus();
}

absl::Status CheckPrefix(std::string_view url, std::string_view prefix) {
  while (!prefix.empty()) {
    prefix.remove_prefix(1);  // the slash
    const std::string_view segment = prefix.substr(0, prefix.find('/'));
    prefix.remove_prefix(segment.size());
    if (segment.empty()) return Refuse("the prefix has an empty segment", url);
    if (segment == "." || segment == "..") return Refuse("the prefix has a dot segment", url);
    if (!std::all_of(segment.begin(), segment.end(), [](char c) {
          return IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
        })) {
      return Refuse("the prefix has a character that is not unreserved", url);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Parts> Split(std::string_view url) {
  if (url.size() > kMaxLength) return Refuse("longer than 2048 characters", url);
  Parts parts;
  const size_t scheme_end = url.find("://");
  const std::string scheme = Lower(url.substr(0, scheme_end));
  if (scheme_end == std::string_view::npos || (scheme != "https" && scheme != "http")) {
    return Refuse("does not begin with https:// or http://", url);
  }
  parts.https = scheme == "https";
  parts.port = parts.https ? 443 : 80;
  std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find('?') != std::string_view::npos) return Refuse("has a query", url);
  if (rest.find('#') != std::string_view::npos) return Refuse("has a fragment", url);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view authority = rest.substr(0, rest.find('/'));
  const std::string_view prefix = rest.substr(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    // The text may hold a password, so that it is not repeated in the message.
    return absl::InvalidArgumentError("base URL: has user information");
  }
  std::string_view after_host;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return Refuse("a bracket is not closed", url);
    parts.ipv6 = true;
    parts.host = Lower(authority.substr(1, close - 1));
    after_host = authority.substr(close + 1);
    if (!after_host.empty() && after_host[0] != ':') return Refuse("text after the bracket", url);
  } else {
    parts.host = Lower(authority.substr(0, authority.find(':')));
    after_host = authority.substr(parts.host.size());
  }
  RETURN_IF_ERROR(CheckHost(url, parts));
  if (!after_host.empty()) RETURN_IF_ERROR(ReadPort(url, after_host.substr(1), parts));
  RETURN_IF_ERROR(CheckPrefix(url, prefix));
  parts.prefix = std::string(prefix);
  return parts;
}

}  // namespace

absl::StatusOr<BaseUrl> BaseUrl::Parse(std::string_view untrusted_text, AllowPlainHttpAnywhere) {
  ASSIGN_OR_RETURN(Parts parts, Split(untrusted_text));
  BaseUrl url;
  url.https_ = parts.https;
  url.host_ = std::move(parts.host);
  url.port_ = parts.port;
  url.prefix_ = std::move(parts.prefix);
  url.authority_ = parts.ipv6 ? Cat("[", url.host_, "]") : url.host_;
  if (url.port_ != (url.https_ ? 443 : 80)) url.authority_ += Cat(":", url.port_);
  return url;
}

absl::StatusOr<BaseUrl> BaseUrl::Parse(std::string_view untrusted_text) {
  ASSIGN_OR_RETURN(const Parts parts, Split(untrusted_text));
  if (!parts.https && !IsLoopback(parts)) {
    return Refuse("plain http is only for this machine (127.0.0.0/8, [::1], localhost)",
                  untrusted_text);
  }
  return Parse(untrusted_text, AllowPlainHttpAnywhere());
}

std::string BaseUrl::str() const { return UrlOf(prefix_); }

std::string BaseUrl::TargetOf(std::string_view route_path) const {
  return Cat(prefix_, route_path);
}

std::string BaseUrl::UrlOf(std::string_view path) const {
  return Cat(https_ ? "https://" : "http://", authority_, path);
}

}  // namespace auspex
