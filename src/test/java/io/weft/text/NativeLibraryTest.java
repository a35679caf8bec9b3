package io.weft.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class NativeLibraryTest {
    /** As in a Quarkus test or live reload, where the application's classes are not loaded by the libraries' loader. */
    @Test
    void worksWhereOurClassesHaveALoaderOfTheirOwn() throws Exception {
        URL classes = Tokenizer.class.getProtectionDomain().getCodeSource().getLocation();
        for (int reload = 0; reload < 2; reload++) {
            try (var loader = new ChildFirst(new URL[] {classes})) {
                Class<?> tokenizer = loader.loadClass("io.weft.text.Tokenizer");
                assertThat(tokenizer).isNotEqualTo(Tokenizer.class);
                Object opened = tokenizer.getMethod("open", Path.class).invoke(null, TestTokenizers.WORDS);
                assertThat(tokenizer.getMethod("size").invoke(opened)).isEqualTo(384);
                tokenizer.getMethod("close").invoke(opened);
            }
        }
        Tokenizer.open(TestTokenizers.WORDS).close();
    }

    private static final class ChildFirst extends URLClassLoader {
        ChildFirst(URL[] classes) {
            super(classes, NativeLibraryTest.class.getClassLoader());
        }

        @Override
        protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
            if (!name.startsWith("io.weft.text.")) {
                return super.loadClass(name, resolve);
            }
            synchronized (getClassLoadingLock(name)) {
                Class<?> loaded = findLoadedClass(name);
                return loaded == null ? findClass(name) : loaded;
            }
        }
    }
}
