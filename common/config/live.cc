// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/live.h"

#include <thread>
#include <utility>

#include "common/config/parse.h"

namespace auspex {

using config_internal::ParseTexts;
using config_internal::ReadTexts;

LiveConfig::LiveConfig(Layout layout, Environment env, std::chrono::milliseconds settles)
    : layout_(std::move(layout)),
      env_(std::move(env)),
      settles_(settles),
      texts_(ReadTexts(layout_)),
      config_(ParseTexts(layout_, env_, texts_)) {}

absl::StatusOr<Config> LiveConfig::Load() {
  constexpr int kMostWaits = 10;
  const std::lock_guard lock(mutex_);
  auto texts = ReadTexts(layout_);
  if (texts == texts_) return config_;
  for (int i = 0; i < kMostWaits; ++i) {
    std::this_thread::sleep_for(settles_);
    auto later = ReadTexts(layout_);
    if (later == texts) break;
    texts = std::move(later);
  }
  if (texts != texts_) {
    texts_ = std::move(texts);
    config_ = ParseTexts(layout_, env_, texts_);
  }
  return config_;
}

}  // namespace auspex
