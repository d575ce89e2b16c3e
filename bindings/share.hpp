// What a connection may take of an event loop's time before others have their turn.
#pragma once

#include <chrono>

// So many messages, or a millisecond. Where they are quick, not each is followed by a look at the clock.
class Share {
  public:
    // To be asked for each message.
    bool is_over() {
        over = over || ++messages >= most || is_late();
        return over;
    }

  private:
    using Clock = std::chrono::steady_clock;
    static constexpr int most = 256, some = 16;
    static constexpr std::chrono::milliseconds all{1};
    static constexpr std::chrono::microseconds quick{5};

    bool is_late() {
        if (--unseen > 0) return false;
        auto now = Clock::now();
        unseen = now - last < some * quick ? some : 1;
        last = now;
        return now - start >= all;
    }

    Clock::time_point start = Clock::now(), last = start;
    int messages = 0, unseen = 1;
    bool over = false;
};
