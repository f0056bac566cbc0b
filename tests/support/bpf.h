// SPDX-License-Identifier: AGPL-3.0-only
// The kernel's classic BPF machine, as far as seccomp programs use it: what a filter would answer to a call, without making it.
// Pure function, any thread; an instruction that it does not know fails the test.
#ifndef AUSPEX_TESTS_SUPPORT_BPF_H_
#define AUSPEX_TESTS_SUPPORT_BPF_H_

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace auspex::testing {

inline uint32_t EvaluateBpf(const std::vector<sock_filter>& program, const seccomp_data& data) {
  uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& i = program[at];
    const uint32_t operand = BPF_SRC(i.code) == BPF_X ? x : i.k;
    switch (BPF_CLASS(i.code)) {
      case BPF_LD:
        if (BPF_MODE(i.code) == BPF_ABS) {
          std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, 4);
        } else {
          a = BPF_MODE(i.code) == BPF_MEM ? memory[i.k] : i.k;
        }
        break;
      case BPF_LDX:
        x = BPF_MODE(i.code) == BPF_MEM ? memory[i.k] : i.k;
        break;
      case BPF_ST:
        memory[i.k] = a;
        break;
      case BPF_STX:
        memory[i.k] = x;
        break;
      case BPF_ALU:
        if (BPF_OP(i.code) == BPF_AND) a &= operand;
        if (BPF_OP(i.code) == BPF_OR) a |= operand;
        break;
      case BPF_JMP: {
        bool taken = true;
        if (BPF_OP(i.code) == BPF_JA) {
          at += i.k;
          break;
        }
        if (BPF_OP(i.code) == BPF_JEQ) taken = a == operand;
        if (BPF_OP(i.code) == BPF_JGT) taken = a > operand;
        if (BPF_OP(i.code) == BPF_JGE) taken = a >= operand;
        if (BPF_OP(i.code) == BPF_JSET) taken = (a & operand) != 0;
        at += taken ? i.jt : i.jf;
        break;
      }
      case BPF_RET:
        return i.k;
      case BPF_MISC:
        if (BPF_MISCOP(i.code) == BPF_TAX) x = a;
        if (BPF_MISCOP(i.code) == BPF_TXA) a = x;
        break;
      default:
        ADD_FAILURE() << "unknown instruction " << i.code;
        return 0;
    }
  }
  ADD_FAILURE() << "the program ran over its end";
  return 0;
}

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_BPF_H_
