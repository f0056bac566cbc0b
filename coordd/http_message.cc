// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/http_message.h"

namespace auspex::coordd {
namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<std::string> Request::Header(std::string_view lower_case_name) const {
  std::optional<std::string> out;
  for (const auto& [name, value] : headers) {
    if (name != lower_case_name) continue;
    if (out) {
      *out += ", ";
    } else {
      out.emplace();
    }
    out->append(Trim(value));
  }
  return out;
}

std::string_view Request::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view Request::query() const {
  const size_t at = target.find('?');
  return at == std::string::npos ? std::string_view() : std::string_view(target).substr(at + 1);
}

}  // namespace auspex::coordd
