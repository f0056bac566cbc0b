// SPDX-License-Identifier: AGPL-3.0-only
#include "common/journal/words.h"

namespace auspex {
namespace {

// The value of a list whose word is `word`; `of` gives the value of a number, if it has one.
template <typename Value>
std::optional<Value> Find(std::string_view word, std::optional<Value> (*of)(uint8_t),
                          std::string_view (*word_of)(Value)) {
  for (int number = 0; number <= 255; ++number) {
    const std::optional<Value> value = of(static_cast<uint8_t>(number));
    if (value && word_of(*value) == word) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view OutcomeWord(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSigned:
      return "signed";
    case Outcome::kDone:
      return "done";
    case Outcome::kRefused:
      return "refused";
  }
  return "unknown";
}

std::optional<Role> RoleOfWord(std::string_view untrusted_word) {
  return Find<Role>(untrusted_word, RoleOf, RoleWord);
}

std::optional<Intent> IntentOfWord(std::string_view untrusted_word) {
  return Find<Intent>(untrusted_word, IntentOf, IntentWord);
}

std::optional<Outcome> OutcomeOfWord(std::string_view untrusted_word) {
  return Find<Outcome>(untrusted_word, OutcomeOf, OutcomeWord);
}

std::vector<std::string_view> IntentWords() {
  std::vector<std::string_view> words;
  for (int number = 0; number <= 255; ++number) {
    if (const auto intent = IntentOf(static_cast<uint8_t>(number))) {
      words.push_back(IntentWord(*intent));
    }
  }
  return words;
}

}  // namespace auspex
