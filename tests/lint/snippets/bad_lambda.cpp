// A temporary lambda that captures, called or passed in the awaited expression.
awaitable<void> spawn(std::string name) {
    co_await [name]() -> awaitable<void> { co_return; }();  // bad
    co_await co_spawn(executor, [name] { return work(name); }, use_awaitable);  // bad
    co_await retry(3, [&]() -> awaitable<void> {  // bad
        co_await work(name);
    });
    co_await each(list, [this](int value) { add(value); });  // bad
}
