// SPDX-License-Identifier: AGPL-3.0-only
// Terminal: what standard output can show (colour, UTF-8, width), found once per run, and the few
// styles that the command uses. Plain data, read-only after detection; safe from any thread.
#ifndef AUSPEX_CLI_OUTPUT_TERMINAL_H_
#define AUSPEX_CLI_OUTPUT_TERMINAL_H_

#include <string>
#include <string_view>

#include "common/paths/layout.h"

namespace auspex::cli {

enum class Style { kPlain, kGood, kWarning, kBad, kDim, kStrong };

struct Terminal {
  bool interactive = false;  // standard output is a terminal
  bool color = false;  // only when interactive, and neither --no-color nor NO_COLOR forbids it
  bool utf8 = false;   // the locale's character set is UTF-8
  int width = 80;      // columns, 20 to 1000

  // `text` in `style` when colour is on, else `text` itself. `text` must be printable already.
  std::string Paint(std::string_view text, Style style) const;
  // "…" or "...".
  std::string_view ellipsis() const { return utf8 ? "\xe2\x80\xa6" : "..."; }
};

// Looks at `output_fd` and at NO_COLOR, TERM, COLUMNS, LC_ALL, LC_CTYPE and LANG in `env`.
Terminal DetectTerminal(int output_fd, bool forbid_color, const Environment& env);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_OUTPUT_TERMINAL_H_
