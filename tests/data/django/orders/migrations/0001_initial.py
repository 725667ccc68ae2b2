from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reference", models.CharField(max_length=40, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "Queued"), ("handled", "Handled")],
                        db_index=True,
                        default="queued",
                        max_length=10,
                    ),
                ),
            ],
            options={"ordering": ["pk"]},
        ),
    ]
