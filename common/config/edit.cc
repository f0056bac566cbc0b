// SPDX-License-Identifier: AGPL-3.0-only
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/config/config.h"
#include "common/config/parse.h"
#include "common/files/files.h"

namespace auspex {
namespace {

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The table that a "[a.b]" line opens, or empty. A comment may follow, which is what broke the
// existing worker's setter.
std::string HeaderOf(std::string_view line) {
  line = Trim(line);
  if (line.size() < 3 || line[0] != '[' || line[1] == '[') return "";
  const size_t close = line.find(']');
  if (close == std::string_view::npos) return "";
  const std::string_view rest = Trim(line.substr(close + 1));
  if (!rest.empty() && rest[0] != '#') return "";
  return std::string(Trim(line.substr(1, close - 1)));
}

bool Assigns(std::string_view line, std::string_view key) {
  line = Trim(line);
  if (line.substr(0, key.size()) != key) return false;
  line = Trim(line.substr(key.size()));
  return !line.empty() && line[0] == '=';
}

std::vector<std::string> SplitLines(const std::string& text) {
  std::vector<std::string> lines;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = text.find('\n', start);
    lines.push_back(text.substr(start, end == std::string::npos ? end : end - start));
    if (end == std::string::npos) break;
    start = end + 1;
  }
  return lines;
}

// The file behind a link, so that replacing it keeps the link; the path itself when there is no
// such file.
std::string ResolveLink(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string out = resolved;
  ::free(resolved);
  return out;
}

}  // namespace

absl::Status SetConfigValue(const Layout& layout, const std::string& dotted_key,
                            const std::string& toml_value) {
  const std::string file = ResolveLink(layout.owner_config_file());
  const size_t dot = dotted_key.rfind('.');
  if (dot == std::string::npos || toml_value.find('\n') != std::string::npos) {
    return absl::InvalidArgumentError(Cat(dotted_key, ": is not a key of a table"));
  }
  const std::string table = dotted_key.substr(0, dot), key = dotted_key.substr(dot + 1);
  absl::StatusOr<std::string> old_text = ReadFile(file, config_internal::kMaxConfigOctets);
  if (absl::IsNotFound(old_text.status())) old_text = std::string();
  if (!old_text.ok()) return old_text.status();

  std::vector<std::string> lines = SplitLines(*old_text);
  const std::string assignment = Cat(key, " = ", toml_value);
  size_t header = lines.size(), existing = lines.size();
  std::string current;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (const std::string opened = HeaderOf(lines[i]); !opened.empty()) current = opened;
    if (current != table) continue;
    if (header == lines.size()) header = i;
    if (existing == lines.size() && Assigns(lines[i], key)) existing = i;
  }
  if (existing < lines.size()) {
    lines[existing] = assignment;
  } else if (header < lines.size()) {
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(header) + 1, assignment);
  } else {
    if (!lines.empty() && !lines.back().empty()) lines.push_back("");
    lines.push_back(Cat("[", table, "]"));
    lines.push_back(assignment);
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";

  // A text edit cannot know every way of writing TOML: what does not load again is not put in
  // place.
  Config check;
  if (const absl::Status status = config_internal::ApplyToml(text, file, check); !status.ok()) {
    return absl::FailedPreconditionError(
        Cat("cannot set ", dotted_key,
            " without breaking the file; edit it by hand: ", std::string(status.message())));
  }
  if (const size_t slash = file.rfind('/'); slash != std::string::npos && slash > 0) {
    if (::access(file.substr(0, slash).c_str(), F_OK) != 0) {
      RETURN_IF_ERROR(MakePrivateDirectory(file.substr(0, slash)));
    }
  }
  return WriteFileAtomically(file, text, 0600);
}

}  // namespace auspex
