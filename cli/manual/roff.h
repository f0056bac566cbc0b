// SPDX-License-Identifier: AGPL-3.0-only
// Manual pages in the man(7) language, from text that exists elsewhere: help of programs, pages of docs/. Pure functions.
#ifndef AUSPEX_CLI_MANUAL_ROFF_H_
#define AUSPEX_CLI_MANUAL_ROFF_H_

#include <string>
#include <string_view>

namespace auspex::cli::manual {

// The first line of a page. `date` is YYYY-MM-DD.
std::string Title(std::string_view name, int section, std::string_view date);

// Text as it is, with what roff would take for a request or an escape made harmless.
std::string Plain(std::string_view text);

// One paragraph of Markdown: `code` and **strong** become bold, [text](link) its text.
std::string Inline(std::string_view markdown);

// Lines that keep their shape: examples, help.
std::string Verbatim(std::string_view text);

// A finished page without the paragraph macros that stand right under a heading.
std::string Tidy(std::string_view page);

// A whole page of docs/ without its title: headings, paragraphs, lists, tables and indented code. A row of a table becomes an entry with
// its first cell as the term; the other cells follow under the names of their columns.
std::string FromMarkdown(std::string_view markdown);

}  // namespace auspex::cli::manual

#endif  // AUSPEX_CLI_MANUAL_ROFF_H_
