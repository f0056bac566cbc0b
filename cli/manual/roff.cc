// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/manual/roff.h"

#include <algorithm>
#include <cctype>
#include <sstream>
#include <vector>

#include "cli/version.h"
#include "common/base/cat.h"

namespace auspex::cli::manual {
namespace {

using Cells = std::vector<std::string>;

std::string Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return std::string(text);
}

bool IsRow(std::string_view line) { return line.starts_with("|"); }
bool IsCode(std::string_view line) { return line.starts_with("    "); }
bool IsItem(std::string_view line) { return line.starts_with("* "); }
bool IsFence(std::string_view line) { return line.starts_with("```"); }

// "| a | b |" -> a, b. A bar inside code is part of its cell.
Cells CellsOf(std::string_view line) {
  Cells cells;
  std::string cell;
  bool code = false;
  for (const char c : line.substr(1)) {
    if (c == '`') code = !code;
    if (c == '|' && !code) {
      cells.push_back(Trim(cell));
      cell.clear();
    } else {
      cell += c;
    }
  }
  return cells;
}

// The line of hyphens under a table's head.
bool IsRule(const Cells& cells) {
  return std::all_of(cells.begin(), cells.end(), [](const std::string& cell) {
    return !cell.empty() && cell.find_first_not_of("-: ") == std::string::npos;
  });
}

std::string Entry(const Cells& head, const Cells& row) {
  std::string out = Cat(".TP\n", Inline(row.empty() ? "" : row[0]), "\n");
  std::string told, last;
  for (size_t i = 1; i < row.size() && i < head.size(); ++i) {
    if (row[i].empty()) continue;
    if (i + 1 == head.size()) {
      last = Inline(row[i]);
    } else {
      told += Cat(told.empty() ? "" : "; ", Inline(head[i]), ": ", Inline(row[i]));
    }
  }
  if (!told.empty()) out += Cat(told, ".\n");
  if (!told.empty() && !last.empty()) out += ".br\n";
  if (!last.empty()) out += Cat(last, "\n");
  return out;
}

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Lines from `at` on for which `belongs` holds.
template <typename Belongs>
std::vector<std::string> Take(const std::vector<std::string>& lines, size_t& at, Belongs belongs) {
  std::vector<std::string> taken;
  while (at < lines.size() && belongs(lines[at])) taken.push_back(lines[at++]);
  return taken;
}

std::string Table(const std::vector<std::string>& rows) {
  std::string out;
  const Cells head = CellsOf(rows[0]);
  for (size_t i = 1; i < rows.size(); ++i) {
    const Cells cells = CellsOf(rows[i]);
    if (!IsRule(cells)) out += Entry(head, cells);
  }
  return out;
}

std::string Joined(const std::vector<std::string>& lines, std::string_view between) {
  std::string out;
  for (const std::string& line : lines) out += Cat(out.empty() ? "" : between, line);
  return out;
}

// Adds text as it is. Only where a line of `out` begins can it be taken for a request.
void Append(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";  // a hyphen that can be copied as one
    } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
      out += "\\&";
      out += c;
    } else {
      out += c;
    }
  }
}

}  // namespace

std::string Title(std::string_view name, int section, std::string_view date) {
  return Cat(".TH ", Upper(std::string(name)), " ", section, " ", date, " \"auspex ", kVersion,
             "\" Auspex\n");
}

std::string Plain(std::string_view text) {
  std::string out;
  Append(text, out);
  return out;
}

std::string Inline(std::string_view markdown) {
  std::string out;
  for (size_t at = 0; at < markdown.size();) {
    const auto pair = [&](std::string_view mark) {
      if (markdown.compare(at, mark.size(), mark) != 0) return false;
      const size_t from = at + mark.size(), end = markdown.find(mark, from);
      if (end == std::string_view::npos) return false;
      out += "\\fB";
      Append(markdown.substr(from, end - from), out);
      out += "\\fR";
      at = end + mark.size();
      return true;
    };
    if (pair("**") || pair("`")) continue;
    if (markdown[at] == '[') {
      const size_t middle = markdown.find("](", at), end = markdown.find(')', at);
      if (middle != std::string_view::npos && end != std::string_view::npos && middle < end) {
        out += Inline(markdown.substr(at + 1, middle - at - 1));
        at = end + 1;
        continue;
      }
    }
    Append(markdown.substr(at++, 1), out);
  }
  return out;
}

std::string Verbatim(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return Cat(".PP\n.RS 4\n.nf\n", Plain(text), "\n.fi\n.RE\n");
}

std::string Tidy(std::string_view page) {
  std::string out;
  bool heading = false;
  for (const std::string& line : Lines(page)) {
    if (!heading || line != ".PP") out += Cat(line, "\n");
    heading = line.starts_with(".SH") || line.starts_with(".SS");
  }
  return out;
}

std::string FromMarkdown(std::string_view markdown) {
  const std::vector<std::string> lines = Lines(markdown);
  std::string out;
  for (size_t at = 0; at < lines.size();) {
    const std::string& line = lines[at];
    if (line.empty() || line.starts_with("# ")) {
      ++at;
    } else if (line.starts_with("## ") || line.starts_with("### ")) {
      const bool top = line.starts_with("## ");
      const std::string heading = line.substr(line.find(' ') + 1);
      out += Cat(top ? ".SH " : ".SS ", Inline(top ? Upper(heading) : heading), "\n");
      ++at;
    } else if (IsRow(line)) {
      out += Table(Take(lines, at, IsRow));
    } else if (IsFence(line)) {
      ++at;
      out +=
          Verbatim(Joined(Take(lines, at, [](std::string_view l) { return !IsFence(l); }), "\n"));
      ++at;
    } else if (IsCode(line)) {
      std::vector<std::string> code =
          Take(lines, at, [](std::string_view l) { return IsCode(l) || l.empty(); });
      for (std::string& part : code) part.erase(0, std::min<size_t>(4, part.size()));
      out += Verbatim(Joined(code, "\n"));
    } else if (IsItem(line)) {
      ++at;
      std::vector<std::string> item = {line.substr(2)};
      for (const std::string& more :
           Take(lines, at, [](std::string_view l) { return l.starts_with("  "); })) {
        item.push_back(Trim(more));
      }
      out += Cat(".IP \\(bu 2\n", Inline(Joined(item, " ")), "\n");
    } else {
      const auto text = [](std::string_view l) {
        return !l.empty() && !IsRow(l) && !IsItem(l) && !IsFence(l) && !l.starts_with("#");
      };
      out += Cat(".PP\n", Inline(Joined(Take(lines, at, text), " ")), "\n");
    }
  }
  return out;
}

}  // namespace auspex::cli::manual
