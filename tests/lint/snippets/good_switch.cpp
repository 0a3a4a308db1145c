awaitable<void> choose() {
    const auto chosen = co_await kind();
    switch (chosen) {
        case 1: co_await one(); break;
        case 2: chosen_ = co_await two(); break;
        default: co_await other();
    }
}
awaitable<void> both() {
    const bool one = co_await first();
    if (one && ready()) {
        act();
    }
}
