// SPDX-License-Identifier: AGPL-3.0-only
// Properties: a note that is accepted is the one spelling of what it says, its text is three lines,
// and no note of a fuzzer is signed by a key whose seed it does not have.
#include <algorithm>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/journal/note.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = auspex::fuzz::Text(data, size);
  const auto note = auspex::ParseNote(text);
  if (!note.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(note.status()));
    return 0;
  }
  const std::string signed_text = auspex::NoteText(note->checkpoint);
  FUZZ_CHECK(text.size() <= auspex::kMaxNoteOctets);
  FUZZ_CHECK(std::count(signed_text.begin(), signed_text.end(), '\n') == 3);
  FUZZ_CHECK(text.substr(0, signed_text.size()) == signed_text);
  FUZZ_CHECK(note->key_id.size() == 4 && note->signature.size() == 64);
  FUZZ_CHECK(text == auspex::Cat(signed_text, "\n\xE2\x80\x94 ", note->checkpoint.origin, " ",
                                 auspex::Base64Encode(note->key_id + note->signature), "\n"));
  // The public key of RFC 8032's first test, whose seed is published: no corpus holds a note of it.
  const std::string key =
      *auspex::HexDecode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  FUZZ_CHECK(!auspex::CheckNote(*note, key).ok());
  return 0;
}
