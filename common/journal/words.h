// SPDX-License-Identifier: AGPL-3.0-only
// The words of the journal's closed lists read back, for filters and exports. The words themselves
// are in intent.h. Pure functions, safe from any thread.
#ifndef AUSPEX_COMMON_JOURNAL_WORDS_H_
#define AUSPEX_COMMON_JOURNAL_WORDS_H_

#include <optional>
#include <string_view>
#include <vector>

#include "common/journal/intent.h"

namespace auspex {

// "signed", "done" or "refused".
std::string_view OutcomeWord(Outcome outcome);

// Exact words only; nullopt for any other text.
std::optional<Role> RoleOfWord(std::string_view untrusted_word);
std::optional<Intent> IntentOfWord(std::string_view untrusted_word);
std::optional<Outcome> OutcomeOfWord(std::string_view untrusted_word);

// Every word of an intent, in the order of their numbers.
std::vector<std::string_view> IntentWords();

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_WORDS_H_
