// switch over a co_await, and a co_await inside && of a condition.
awaitable<void> choose() {
    switch (co_await kind()) {  // bad
        case 1: break;
    }
}
awaitable<void> both() {
    if (co_await first() && ready())  // bad
        act();
    if (ready() && co_await second())  // bad
        act();
}
