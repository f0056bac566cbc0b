// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/terminal.h"

#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "common/base/cat.h"

namespace auspex::cli {
namespace {

constexpr int kNarrowest = 20;
constexpr int kWidest = 1000;

std::string_view Code(Style style) {
  switch (style) {
    case Style::kGood:
      return "\x1b[32m";
    case Style::kWarning:
      return "\x1b[33m";
    case Style::kBad:
      return "\x1b[31m";
    case Style::kDim:
      return "\x1b[2m";
    case Style::kStrong:
      return "\x1b[1m";
    case Style::kPlain:
      break;
  }
  return "";
}

// The first of the three variables that is set and not empty decides, as in setlocale(3).
bool LocaleIsUtf8(const Environment& env) {
  for (std::string_view name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::optional<std::string> value = env(name);
    if (!value || value->empty()) continue;
    const size_t dot = value->find('.');
    if (dot == std::string::npos) return false;
    std::string charset = value->substr(dot + 1);
    charset = charset.substr(0, charset.find('@'));
    return strcasecmp(charset.c_str(), "UTF-8") == 0 || strcasecmp(charset.c_str(), "utf8") == 0;
  }
  return false;
}

int Width(int fd, const Environment& env) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    return std::clamp<int>(size.ws_col, kNarrowest, kWidest);
  }
  if (std::optional<std::string> columns = env("COLUMNS")) {
    int value = 0;
    auto [end, error] = std::from_chars(columns->data(), columns->data() + columns->size(), value);
    if (error == std::errc() && end == columns->data() + columns->size()) {
      return std::clamp(value, kNarrowest, kWidest);
    }
  }
  return 80;
}

}  // namespace

std::string Terminal::Paint(std::string_view text, Style style) const {
  const std::string_view code = Code(style);
  if (!color || code.empty()) return std::string(text);
  return Cat(code, text, "\x1b[0m");
}

Terminal DetectTerminal(int output_fd, bool forbid_color, const Environment& env) {
  Terminal terminal;
  terminal.interactive = isatty(output_fd) == 1;
  const std::optional<std::string> no_color = env("NO_COLOR");
  const std::optional<std::string> term = env("TERM");
  // no-color.org: any value but the empty one forbids.
  terminal.color = terminal.interactive && !forbid_color && !(no_color && !no_color->empty()) &&
                   !(term && *term == "dumb");
  terminal.utf8 = LocaleIsUtf8(env);
  terminal.width = Width(output_fd, env);
  return terminal;
}

}  // namespace auspex::cli
