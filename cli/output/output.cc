// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/output/output.h"

#include <algorithm>
#include <cstdio>

#include "cli/output/json_text.h"
#include "common/base/cat.h"
#include "common/ids/ids.h"

namespace auspex::cli {
namespace {

constexpr size_t kLongestText = 2000;

void Write(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fputc('\n', stream);
}

}  // namespace

std::string Clean(std::string_view untrusted_text) {
  return Printable(untrusted_text, kLongestText);
}

void Output::Line(std::string_view text) const { Write(stdout, text); }

void Output::Json(const JsonValue& value) const { Write(stdout, IndentedJson(value)); }

void Output::Fields(const std::vector<std::pair<std::string, std::string>>& fields) const {
  size_t widest = 0;
  for (const auto& [key, value] : fields) {
    if (!value.empty()) widest = std::max(widest, key.size());
  }
  for (const auto& [key, value] : fields) {
    if (value.empty()) continue;
    Line(Cat(key, ":", std::string(widest - key.size() + 1, ' '), value));
  }
}

void Output::Table(const std::vector<std::string>& header,
                   const std::vector<std::vector<std::string>>& rows) const {
  std::vector<size_t> widths;
  auto measure = [&widths](const std::vector<std::string>& row) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  auto join = [&widths](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  };
  measure(header);
  for (const auto& row : rows) measure(row);
  if (!header.empty()) Line(terminal_.Paint(join(header), Style::kDim));
  for (const auto& row : rows) Line(join(row));
}

void Output::Error(std::string_view thing, std::string_view cause, std::string_view next) const {
  // What was printed before belongs before.
  std::fflush(stdout);
  Write(stderr, thing.empty() ? Cat(program_, ": ", Clean(cause))
                              : Cat(program_, ": ", Clean(thing), ": ", Clean(cause)));
  if (!next.empty()) Write(stderr, Cat("next: ", next));
}

void Output::Error(std::string_view thing, const absl::Status& status,
                   std::string_view next) const {
  std::string advice(next);
  if (advice.empty()) {
    switch (status.code()) {
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kDeadlineExceeded:
        advice = Cat("try again; '", program_, " status' says what runs");
        break;
      case absl::StatusCode::kPermissionDenied:
        advice =
            "run it as the user that the worker belongs to (in system mode: a member of group "
            "auspex)";
        break;
      default:
        break;
    }
  }
  Error(thing, std::string(status.message()), advice);
}

void Output::Warning(std::string_view thing, std::string_view cause) const {
  std::fflush(stdout);
  Write(stderr, Cat(program_, ": warning: ", Clean(thing), ": ", Clean(cause)));
}

void Output::Note(std::string_view text) const {
  std::fflush(stdout);
  Write(stderr, text);
}

int Output::Finish(int code) const {
  const bool bad = std::ferror(stdout) != 0;
  if (std::fflush(stdout) != 0 || bad) {
    Write(stderr, Cat(program_, ": standard output: could not be written"));
    return code == kExitOk ? kExitFailure : code;
  }
  return code;
}

}  // namespace auspex::cli
