// SPDX-License-Identifier: AGPL-3.0-only
#include "common/config/live.h"

#include <thread>
#include <utility>

#include "common/config/parse.h"

namespace auspex {
namespace {

constexpr int kMostWaits = 10;

}  // namespace

using config_internal::ParseTexts;
using config_internal::ReadTexts;

LiveConfig::LiveConfig(Layout layout, Environment env, std::chrono::milliseconds settles)
    : layout_(std::move(layout)),
      env_(std::move(env)),
      settles_(settles),
      texts_(ReadTexts(layout_)),
      changed_(texts_),
      config_(ParseTexts(layout_, env_, texts_)) {}

bool LiveConfig::Look(bool in_any_case) {
  const std::lock_guard lock(mutex_);
  auto texts = ReadTexts(layout_);
  const Time now = std::chrono::steady_clock::now();
  if (texts != changed_) {
    changed_ = std::move(texts);
    changed_at_ = now;
  }
  if (changed_ == texts_) return true;
  if (!in_any_case && now - changed_at_ < settles_) return false;
  texts_ = changed_;
  config_ = ParseTexts(layout_, env_, texts_);
  return true;
}

absl::StatusOr<Config> LiveConfig::Load() {
  bool counts = Look(false);
  for (int i = 0; i < kMostWaits && !counts; ++i) {
    std::this_thread::sleep_for(settles_);
    counts = Look(i + 1 == kMostWaits);
  }
  const std::lock_guard lock(mutex_);
  return config_;
}

absl::StatusOr<Config> LiveConfig::Now() {
  Look(false);
  const std::lock_guard lock(mutex_);
  return config_;
}

}  // namespace auspex
