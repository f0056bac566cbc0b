// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/random_ids.h"

#include <sodium/randombytes.h>

#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex::coordd {
namespace {

std::string RandomText(size_t octets) {
  std::string raw(octets, '\0');
  randombytes_buf(raw.data(), raw.size());
  return Base64UrlEncode(raw);
}

}  // namespace

std::string MakeId(std::string_view prefix) { return Cat(prefix, RandomText(9)); }
std::string MakeExperimentId() { return Cat("exp-", RandomText(6)); }
std::string MakeToken() { return RandomText(32); }

}  // namespace auspex::coordd
