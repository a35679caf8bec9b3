package io.weft.cache;

import io.weft.cache.BlockFile.Buffer;
import io.weft.cache.BlockFile.DamagedException;
import io.weft.cache.DiskIndex.Entry;
import io.weft.cache.DiskIndex.FileId;
import io.weft.cache.DiskIndex.Listed;
import io.weft.cache.DiskTransfer.AbandonedException;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The cache's directory while this process has it, alone:
 *
 * <pre>
 * weft-cache.lock                       locked by the process whose directory it is
 * v1-&lt;model&gt;/&lt;2 digits&gt;/&lt;name&gt;-&lt;scope&gt;.kv   a part of a block; the digits are the name's first
 * </pre>
 *
 * Files and folders whose names are of another form are somebody else's and never touched.
 */
final class DiskDirectory implements AutoCloseable {
    /** Opens files: the only way to their bytes. */
    interface Opener {
        /** Opens {@link java.nio.file.Files#newByteChannel} a channel. */
        SeekableByteChannel open(Path file, Set<? extends OpenOption> options) throws IOException;
    }

    private static final System.Logger LOG = System.getLogger(DiskDirectory.class.getName());
    private static final String LOCK = "weft-cache.lock";
    private static final String PROBE = "weft-cache.probe";
    private static final String UNFINISHED = ".part";
    private static final Pattern FOLDER = Pattern.compile("v\\d+-[0-9a-f]{32}");
    private static final Pattern DIGITS = Pattern.compile("[0-9a-f]{2}");
    private static final Pattern FILE = Pattern.compile("([0-9a-f]{32})-([0-9a-f]{32})\\.([a-z0-9_]+)(\\.part)?");

    private final Path root;
    private final BlockName model;
    private final String folder;
    private final Opener opener;
    private final FileChannel lock;
    /** Tells whether the directory has been deleted, replaced or unmounted. */
    private final @Nullable Object lockKey;

    /** Opens files past the page cache, if the file system can. */
    private final Optional<OpenOption> direct;

    private DiskDirectory(
            Path root,
            BlockName model,
            Opener opener,
            FileChannel lock,
            @Nullable Object lockKey,
            Optional<OpenOption> direct) {
        this.root = root;
        this.model = model;
        this.folder = folder(BlockFile.VERSION, model);
        this.opener = opener;
        this.lock = lock;
        this.lockKey = lockKey;
        this.direct = direct;
    }

    /** The folder of a model's files. */
    static String folder(int version, BlockName model) {
        return "v" + version + "-" + model;
    }

    /**
     * Takes a directory, which is made if it does not exist.
     *
     * @throws IOException if that is impossible, or another process has it
     */
    static DiskDirectory open(Path root, BlockName model, Opener opener) throws IOException {
        Files.createDirectories(root);
        Path lockFile = root.resolve(LOCK);
        FileChannel lock = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        try {
            if (lock.tryLock() == null) {
                throw new IOException("another process has it");
            }
            DiskDirectory directory =
                    new DiskDirectory(root, model, opener, lock, fileKey(lockFile), direct(root, opener));
            directory.createFolder();
            return directory;
        } catch (OverlappingFileLockException e) {
            lock.close();
            throw new IOException("this process has it already", e);
        } catch (IOException | RuntimeException e) {
            lock.close();
            throw e;
        }
    }

    private static @Nullable Object fileKey(Path file) throws IOException {
        return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
    }

    /** What a cache holds tells what was asked, so nobody else may read it. */
    private void createFolder() throws IOException {
        Path path = root.resolve(folder);
        if (Files.isDirectory(path)) {
            return;
        }
        if (Files.getFileStore(root).supportsFileAttributeView("posix")) {
            Files.createDirectory(
                    path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        } else {
            Files.createDirectory(path);
        }
    }

    /** The option that opens files past the page cache; empty if the file system refuses it. */
    static Optional<OpenOption> direct(Path root, Opener opener) {
        return directOption().filter(direct -> works(direct, root, opener));
    }

    /** By name, since the compiler warns of every use of the JDK's own options. */
    private static Optional<OpenOption> directOption() {
        try {
            return Stream.of(
                            Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants())
                    .filter(option -> option.toString().equals("DIRECT"))
                    .map(OpenOption.class::cast)
                    .findFirst();
        } catch (ClassNotFoundException e) {
            return Optional.empty();
        }
    }

    private static boolean works(OpenOption direct, Path root, Opener opener) {
        Path probe = root.resolve(PROBE);
        Buffer buffer = Buffer.ofBytes(BlockFile.ALIGNMENT);
        try {
            if (BlockFile.ALIGNMENT % Files.getFileStore(root).getBlockSize() != 0) {
                return false;
            }
            try (SeekableByteChannel file =
                    opener.open(probe, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE, direct))) {
                file.write(buffer.view());
            }
            try (SeekableByteChannel file = opener.open(probe, Set.of(StandardOpenOption.READ, direct))) {
                return file.read(buffer.view().clear()) == BlockFile.ALIGNMENT;
            }
        } catch (IOException | UnsupportedOperationException e) {
            LOG.log(Level.DEBUG, "{0} is used through the page cache: {1}", root, e);
            return false;
        } finally {
            deleteQuietly(probe);
        }
    }

    private static void deleteQuietly(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            LOG.log(Level.DEBUG, "{0} cannot be deleted: {1}", file, e);
        }
    }

    /** Whether the directory is still there, and the one that was opened. */
    boolean isThere() {
        try {
            return Objects.equals(lockKey, fileKey(root.resolve(LOCK)));
        } catch (IOException e) {
            return false;
        }
    }

    /** Which file holds a part of a block of the model. */
    FileId key(BlockName name, BlockPart part) {
        return new FileId(folder, name, part);
    }

    /** The path of a file. */
    Path path(FileId key, DiskScope scope) {
        String name = key.name().toString();
        return root.resolve(key.folder())
                .resolve(name.substring(0, 2))
                .resolve(name + "-" + scope + "." + key.part().suffix());
    }

    /**
     * All files, also of other models and versions, the least recently used first. Deletes what a process that ended
     * has not finished.
     */
    List<Listed> list() throws IOException {
        List<Listed> found = new ArrayList<>();
        try (DirectoryStream<Path> folders = Files.newDirectoryStream(root, path -> isFolder(path, FOLDER))) {
            for (Path models : folders) {
                try (DirectoryStream<Path> digits = Files.newDirectoryStream(models, path -> isFolder(path, DIGITS))) {
                    for (Path files : digits) {
                        list(models.getFileName().toString(), files, found);
                    }
                }
            }
        } catch (DirectoryIteratorException e) {
            throw e.getCause();
        }
        found.sort(Comparator.comparingLong(file -> file.entry().usedMicros()));
        return found;
    }

    private static boolean isFolder(Path path, Pattern name) {
        return name.matcher(path.getFileName().toString()).matches()
                && Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS);
    }

    private static void list(String folder, Path directory, List<Listed> found) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(directory)) {
            for (Path file : files) {
                Matcher name = FILE.matcher(file.getFileName().toString());
                if (name.matches()
                        && name.group(1).startsWith(directory.getFileName().toString())) {
                    list(folder, file, name, found);
                }
            }
        }
    }

    private static void list(String folder, Path file, Matcher name, List<Listed> found) throws IOException {
        Optional<BlockPart> part = BlockPart.ofSuffix(name.group(3));
        BasicFileAttributes attributes =
                Files.readAttributes(file, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (part.isEmpty() || !attributes.isRegularFile()) {
            return;
        }
        if (UNFINISHED.equals(name.group(4))) {
            Files.deleteIfExists(file);
            return;
        }
        BlockName scope = name(name.group(2));
        Entry entry = new Entry(
                new DiskScope(scope.high(), scope.low()),
                attributes.size(),
                attributes.lastModifiedTime().to(TimeUnit.MICROSECONDS));
        found.add(new Listed(new FileId(folder, name(name.group(1)), part.get()), entry));
    }

    /** Of 32 hexadecimal digits. */
    private static BlockName name(String digits) {
        return new BlockName(Long.parseUnsignedLong(digits, 0, 16, 16), Long.parseUnsignedLong(digits, 16, 32, 16));
    }

    private BlockFile file(Listed file, DiskTransfer transfer) {
        FileId key = file.key();
        return new BlockFile(model, key.name(), file.entry().scope(), key.part(), transfer.bytes());
    }

    /**
     * Writes a file: under another name first, so that it is whole once it has its own. Nothing waits for the disk to
     * be safe from a power failure; after one, a file that is not whole is damaged, and a miss.
     */
    void write(Listed listed, DiskTransfer from, Buffer buffer) throws IOException {
        Path file = path(listed.key(), listed.entry().scope());
        Path unfinished = file.resolveSibling(file.getFileName() + UNFINISHED);
        try {
            try (SeekableByteChannel channel = create(unfinished)) {
                file(listed, from).write(channel, from, buffer);
            }
            setUsed(unfinished, listed.entry());
            move(unfinished, file);
        } catch (IOException | RuntimeException e) {
            deleteQuietly(unfinished);
            throw e;
        }
    }

    private SeekableByteChannel create(Path file) throws IOException {
        Set<OpenOption> options =
                options(StandardOpenOption.CREATE, StandardOpenOption.TRUNCATE_EXISTING, StandardOpenOption.WRITE);
        try {
            return opener.open(file, options);
        } catch (NoSuchFileException e) {
            // Its folder may be missing; the one above is only if the whole directory is gone.
            createParent(file);
            return opener.open(file, options);
        }
    }

    private static void createParent(Path file) throws IOException {
        try {
            Files.createDirectory(Objects.requireNonNull(file.getParent()));
        } catch (FileAlreadyExistsException e) {
            LOG.log(Level.DEBUG, "another thread made the folder of {0}", file);
        }
    }

    private Set<OpenOption> options(OpenOption... options) {
        Set<OpenOption> all = new HashSet<>(Set.of(options));
        direct.ifPresent(all::add);
        return all;
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException e) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** The order of use outlives the process as the order of modification. */
    private static void setUsed(Path file, Entry entry) throws IOException {
        Files.setLastModifiedTime(file, FileTime.from(entry.usedMicros(), TimeUnit.MICROSECONDS));
    }

    /**
     * Reads a file.
     *
     * @throws NoSuchFileException if it is not there
     * @throws DamagedException if it is not what was written, or the disk cannot read it
     * @throws AbandonedException if the transfer ends meanwhile
     */
    void read(Listed listed, DiskTransfer to, Buffer buffer) throws IOException {
        Path file = path(listed.key(), listed.entry().scope());
        try (SeekableByteChannel channel = opener.open(file, options(StandardOpenOption.READ))) {
            readFrom(channel, listed, to, buffer);
        }
        try {
            setUsed(file, listed.entry());
        } catch (IOException e) {
            // It was read, and will only seem older after a restart.
            LOG.log(Level.DEBUG, "{0} keeps its time: {1}", file, e);
        }
    }

    private void readFrom(SeekableByteChannel channel, Listed listed, DiskTransfer to, Buffer buffer)
            throws IOException {
        try {
            file(listed, to).read(channel, to, buffer);
        } catch (DamagedException | AbandonedException | ClosedChannelException e) {
            throw e;
        } catch (IOException e) {
            throw new DamagedException("it cannot be read: " + e.getMessage());
        }
    }

    /** Deletes a file, if it is there. */
    void delete(Listed file) throws IOException {
        Files.deleteIfExists(path(file.key(), file.entry().scope()));
    }

    /** Gives the directory to whoever wants it next. */
    @Override
    public void close() throws IOException {
        lock.close();
    }
}
